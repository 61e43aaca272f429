"""CloudFormation of cloud.py: one stack, whose parameters, conditions and
rules are those of the template, and whose outputs are made up.
"""

import json
import re

import yaml


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    pass


def tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix: value}


Loader.add_multi_constructor("!", tag)


class Stack:
    def __init__(self):
        self.status = None
        self.name = None
        self.parameters = {}
        self.history = []
        self.template = {}

    def evaluate(self, value):
        """Conditions and rules: Ref, Equals, Not, And, Or."""
        if not isinstance(value, dict):
            return value
        (name, argument), = value.items()
        if name == "Ref":
            return {"AWS::Region": "eu-west-1"}.get(
                argument, self.parameters.get(argument))
        if name == "Condition":
            return self.evaluate(self.template["Conditions"][argument])
        values = [self.evaluate(part) for part in argument]
        return {"Equals": lambda: str(values[0]) == str(values[1]),
                "Not": lambda: not values[0],
                "And": lambda: all(values),
                "Or": lambda: any(values)}[name]()

    def deploy(self, name, path, overrides, capabilities):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if len(text.encode()) > 51200:
            raise ValueError("the template has more than 51200 bytes")
        self.template = yaml.load(text, Loader)
        if "CAPABILITY_IAM" not in capabilities:
            raise ValueError("Requires capabilities: [CAPABILITY_IAM]")
        described = self.template["Parameters"]
        parameters = {key: value for key, value in self.parameters.items()
                      if key in described}
        for key, value in overrides.items():
            if key not in described:
                raise ValueError(f"Parameters: [{key}] do not exist")
            parameters[key] = value
        for key, entry in described.items():
            if key not in parameters:
                if "Default" not in entry:
                    raise ValueError(f"Parameters: [{key}] must have values")
                parameters[key] = str(entry["Default"])
            self.check(key, parameters[key], entry)
        before, self.parameters = self.parameters, parameters
        for rule in self.template["Rules"].values():
            if not self.evaluate(rule.get("RuleCondition", True)):
                continue
            for assertion in rule["Assertions"]:
                if not self.evaluate(assertion["Assert"]):
                    self.parameters = before
                    raise ValueError(assertion["AssertDescription"])
        self.history.append(overrides)
        self.name = name
        new = self.status in (None, "REVIEW_IN_PROGRESS")
        self.status = "CREATE_COMPLETE" if new else "UPDATE_COMPLETE"

    @staticmethod
    def check(key, value, entry):
        if "AllowedPattern" in entry \
                and not re.fullmatch(entry["AllowedPattern"], value):
            raise ValueError(f"Parameter {key} failed to satisfy constraint")
        if "AllowedValues" in entry \
                and value not in map(str, entry["AllowedValues"]):
            raise ValueError(f"Parameter {key} must be one of the values")
        if "MinValue" in entry \
                and not entry["MinValue"] <= int(value) <= entry["MaxValue"]:
            raise ValueError(f"Parameter {key} is out of range")

    def outputs(self):
        made = {"Address": "https://" + (self.parameters["DomainName"]
                                         or "d123.cloudfront.net"),
                "DistributionName": "d123.cloudfront.net",
                "DistributionId": "E123",
                "WebBucketName": f"{self.name}-web",
                "FilesBucketName": f"{self.name}-files",
                "ClusterId": "cluster",
                "SecretSent": self.parameters["OriginSecretSent"]}
        return {key: made.get(key, f"{self.name}-{key}")
                for key in self.template["Outputs"]}

    def output(self, key):
        return self.outputs()[key] if self.status else None

    def buckets(self):
        return [self.output("WebBucketName"), self.output("FilesBucketName")]

    def described(self):
        hidden = {key for key, entry in self.template.get(
            "Parameters", {}).items() if entry.get("NoEcho")}
        return {"Stacks": [{
            "StackStatus": self.status,
            "Parameters": [{"ParameterKey": key, "ParameterValue":
                            "****" if key in hidden else value}
                           for key, value in self.parameters.items()],
            "Outputs": [{"OutputKey": key, "OutputValue": value}
                        for key, value in self.outputs().items()]
            if self.template else []}]}

    def shown(self):
        return json.loads(json.dumps({
            "status": self.status, "parameters": self.parameters,
            "history": self.history}))
