"""Which SQL Aurora DSQL takes, and its words for what it does not.

judge(sql) -> a list of Verdict, one a statement.  By list of what is allowed:
a kind of statement that nobody has seen to work there is refused.

Facts: aws.md 1.1; where AWS's own words are known (recorded on live clusters in
September 2026 by others, or in AWS's lists of errors) they are used.  Marked
GUESS where only the refusal is known and not its words.
"""

import functools
import json
import re

from pglast import parser

UNSUPPORTED = "0A000"

READ, WRITE, DDL, BEGIN, COMMIT, ROLLBACK, OTHER = (
    "read", "write", "ddl", "begin", "commit", "rollback", "other")


class Refused(Exception):
    def __init__(self, words, code=UNSUPPORTED):
        super().__init__(words)
        self.words, self.code = words, code


class Verdict:
    """What the proxy does with one statement."""

    __slots__ = ("kind", "sql", "refused", "job", "tag", "locks", "returns",
                 "unlocked", "rows")

    def __init__(self, kind, sql):
        self.kind = kind        # one of the above
        self.sql = sql          # for PostgreSQL
        self.refused = None     # (code, words)
        self.job = None         # (type, name of the index or constraint)
        self.tag = None         # instead of PostgreSQL's command tag
        self.locks = False      # SELECT … FOR UPDATE
        self.returns = False    # RETURNING
        self.unlocked = None    # the same without FOR UPDATE
        self.rows = None        # at most so many are changed, if known


# Statements whose words differ from "unsupported statement: <Node>"

NAMED = {
    "CreateTrigStmt": "CREATE TRIGGER not supported",
    "CreateEnumStmt": "CREATE TYPE not supported",
    "AlterEnumStmt": "ALTER TYPE not supported",
    "MergeStmt": "unsupported statement type: MERGE",
}

DDL_NODES = {
    "CreateStmt", "IndexStmt", "AlterTableStmt", "DropStmt", "RenameStmt",
    "CreateSchemaStmt", "ViewStmt", "CreateSeqStmt", "AlterSeqStmt",
    "CreateFunctionStmt", "CreateDomainStmt", "GrantStmt", "GrantRoleStmt",
    "CreateRoleStmt", "AlterRoleStmt", "DropRoleStmt",
    "AlterObjectSchemaStmt", "AlterOwnerStmt", "CommentStmt",
    "AlterDomainStmt", "AlterFunctionStmt", "AlterDefaultPrivilegesStmt",
}

SETTABLE = {
    "search_path", "client_encoding", "application_name", "timezone",
    "extra_float_digits", "datestyle", "intervalstyle", "bytea_output",
    "client_min_messages", "statement_timeout",
}

COLUMN_TYPES = {
    "int2", "int4", "int8", "float4", "float8", "numeric", "bpchar", "varchar",
    "text", "date", "time", "timetz", "timestamp", "timestamptz", "interval",
    "bool", "bytea", "uuid", "json", "jsonb", "char", "name", "oid",
}

SHOWN_TYPES = {
    "int2": "smallint", "int4": "integer", "int8": "bigint",
    "float4": "real", "float8": "double precision", "bool": "boolean",
    "varbit": "bit varying", "bpchar": "character",
    "varchar": "character varying", "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone", "time": "time without time zone",
}

SERIAL = {"serial", "bigserial", "smallserial", "serial2", "serial4",
          "serial8"}

TEXT_SEARCH = {"to_tsvector", "to_tsquery", "plainto_tsquery",
               "phraseto_tsquery", "websearch_to_tsquery", "ts_rank",
               "ts_headline", "setweight"}
GEOMETRY = {"line", "circle", "polygon", "box", "path", "lseg"}
ABSENT = {"pg_notify", "inet_server_addr", "inet_server_port"}
ADVISORY = re.compile(r"pg_(try_)?advisory_")

LARGEST_COLUMN = 1048576
LARGEST_ROW = 2097152


def nodes(tree):
    """Each (name, members) below."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if isinstance(value, dict):
                yield name, value
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def names(parts):
    return [part["String"]["sval"] for part in parts or []
            if "String" in part]


def check_query(tree):
    """What no part of a statement may hold."""
    for name, node in nodes(tree):
        if name == "LockingClause":
            if node.get("strength") not in ("LCS_FORUPDATE",
                                            "LCS_FORKEYSHARE"):
                raise Refused("locking clauses other than FOR UPDATE/FOR KEY "
                              "SHARE are not supported")
        elif name == "RangeTableSample":
            raise Refused("TABLESAMPLE clause not supported")
        elif name == "JoinExpr" and node.get("jointype") == "JOIN_LEFT":
            right = node.get("rarg", {}).get("RangeSubselect", {})
            if right.get("lateral"):
                raise Refused("attribute 1 of type record has wrong type",
                              "42804")
        elif name == "FuncCall":
            check_function(names(node.get("funcname"))[-1])
        elif name == "intoClause":
            raise Refused("unsupported statement: CreateTableAs")


def check_function(name):
    if name in TEXT_SEARCH:
        raise Refused('text search configuration "english" does not exist',
                      "42704")
    if name in GEOMETRY:
        raise Refused(f"datatype {name} not supported")
    if name in ABSENT or ADVISORY.match(name):
        raise Refused(f"function {name} not supported")             # GUESS


def options(node, key="options"):
    found = {}
    for item in node.get(key, []):
        item = item.get("DefElem", {})
        argument = item.get("arg", {})
        for value in argument.values():
            found[item["defname"]] = next(iter(value.values()), 0) \
                if isinstance(value, dict) else value
    return found


def check_cache(found, words):
    cache = int(found.get("cache", 0) or 0)
    if cache != 1 and cache < 65536:
        raise Refused(f"{words} is not supported without an explicit cache "
                      "size. please define CACHE greater than or equal to "
                      "65536 or equal to 1")


def type_of(column):
    kind = column.get("typeName", {})
    name = names(kind.get("names"))[-1]
    shown = SHOWN_TYPES.get(name, name)
    if name in SERIAL:
        raise Refused(f'type "{name}" does not exist', "42704")
    if kind.get("arrayBounds"):
        raise Refused(f"datatype {shown}[] not supported")
    if name not in COLUMN_TYPES:
        raise Refused(f"datatype {shown} not supported")
    return name


def check_column(column):
    name = type_of(column)
    if column.get("collClause"):
        raise Refused("COLLATE clause not supported")               # GUESS
    for item in column.get("constraints", []):
        item = item["Constraint"]
        if item["contype"] == "CONSTR_IDENTITY":
            check_cache(options(item), "identity column")
            if name != "int8":
                raise Refused(f"datatype {SHOWN_TYPES.get(name, name)} not "
                              "supported, identity column type must be bigint")
    return name


def create_table(node, verdict):
    relation = node["relation"]
    if relation.get("relpersistence") == "t":
        raise Refused("TEMPORARY or TEMP table not supported for CREATE TABLE")
    if relation.get("relpersistence") == "u":
        raise Refused("UNLOGGED table not supported for CREATE TABLE")
    if node.get("partspec") or node.get("partbound"):
        raise Refused("PARTITION BY clause not supported for CREATE TABLE")
    if node.get("inhRelations"):
        raise Refused("INHERITS clause not supported for CREATE TABLE")
    if node.get("options"):
        raise Refused("WITH clause not supported for CREATE TABLE")  # GUESS

    columns = [(item["ColumnDef"]["colname"], check_column(item["ColumnDef"]))
               for item in node.get("tableElts", []) if "ColumnDef" in item]
    if len(columns) > 255:
        raise Refused("tables can have at most 255 columns", "54011")
    add_sizes(verdict, columns)


def add_sizes(verdict, columns):
    """The largest value and row, as constraints that PostgreSQL checks."""
    bulky = [name for name, kind in columns if kind in ("text", "bytea")]
    if not bulky or not verdict.sql.rstrip().endswith(")"):
        return

    extra = [f', CONSTRAINT dsql_size_text_{name} CHECK (octet_length('
             f'"{name}") <= {LARGEST_COLUMN})' for name in bulky]
    total = " + ".join(f'coalesce(octet_length("{name}"), 0)'
                       for name in bulky)
    extra.append(f", CONSTRAINT dsql_size_row CHECK ({total}"
                 f" <= {LARGEST_ROW})")
    verdict.sql = verdict.sql.rstrip()[:-1] + "".join(extra) + ")"


def create_index(node, verdict, is_async):
    if node.get("concurrent"):
        raise Refused("CONCURRENTLY not supported for CREATE INDEX")
    if not is_async:
        raise Refused("unsupported mode. please use CREATE INDEX ASYNC.")
    if node.get("accessMethod", "btree") not in ("btree", "btree_index"):
        raise Refused("USING clause not supported for CREATE INDEX")  # GUESS
    keys = node.get("indexParams", [])
    if len(keys) > 8:
        raise Refused("more than 8 column keys in an index are not supported",
                      "54011")
    for key in keys:
        key = key["IndexElem"]
        if key.get("ordering", "SORTBY_DEFAULT") != "SORTBY_DEFAULT":
            raise Refused("specifying sort order not supported for index keys")
        if key.get("opclass"):
            raise Refused("opclass not supported for index keys")
        if key.get("collation"):
            raise Refused("COLLATE clause not supported")           # GUESS
    verdict.job = ("INDEX_BUILD", node.get("idxname", ""))


ALTERATIONS = {
    "AT_AddColumn", "AT_DropColumn", "AT_ColumnDefault", "AT_DropNotNull",
    "AT_DropConstraint", "AT_AddConstraint", "AT_ValidateConstraint",
    "AT_SetStorage", "AT_ChangeOwner", "AT_SetIdentity", "AT_DropIdentity",
}

ALTERATION_WORDS = {
    "AT_AlterColumnType": "ALTER COLUMN ... SET DATA TYPE",
    "AT_SetNotNull": "ALTER COLUMN ... SET NOT NULL",               # GUESS
    "AT_SetStatistics": "ALTER COLUMN ... SET STATISTICS",
}


def alter_table(node, verdict, is_async):
    for command in node.get("cmds", []):
        command = command["AlterTableCmd"]
        kind = command["subtype"]
        if kind not in ALTERATIONS:
            words = ALTERATION_WORDS.get(kind, kind[3:])
            raise Refused(f"unsupported ALTER TABLE {words} statement")
        definition = command.get("def", {})
        if kind == "AT_AddColumn":
            column = definition["ColumnDef"]
            type_of(column)
            if column.get("constraints") or column.get("collClause"):
                raise Refused("ALTER TABLE ADD COLUMN with constraint not "
                              "supported")
            if len(node["cmds"]) == 1 and not column.get("storage_name"):
                add_column_size(verdict, column)
        elif kind == "AT_AddConstraint":
            constraint = definition["Constraint"]
            if not (constraint.get("skip_validation")
                    or constraint.get("indexname")):
                raise Refused("unsupported ALTER TABLE ADD CONSTRAINT "
                              "statement")
        elif kind == "AT_ValidateConstraint":
            if not is_async:
                raise Refused("unsupported ALTER TABLE VALIDATE CONSTRAINT "
                              "statement")
            verdict.job = ("VALIDATE_CONSTRAINT", command.get("name", ""))


def add_column_size(verdict, column):
    if names(column["typeName"]["names"])[-1] in ("text", "bytea"):
        name = column["colname"]
        verdict.sql = (verdict.sql.rstrip() + " CONSTRAINT dsql_size_text_"
                       f'{name} CHECK (octet_length("{name}") <= '
                       f"{LARGEST_COLUMN})")


def check_set(node):
    name = node.get("name", "")
    if name in ("TRANSACTION", "SESSION CHARACTERISTICS",
                "transaction_isolation", "default_transaction_isolation"):
        for item in node.get("args", []):
            item = item.get("DefElem", {})
            level = next(iter(item.get("arg", {}).get("A_Const", {})
                              .get("sval", {}).values()), "")
            check_isolation(item.get("defname"), level)
        if name == "transaction_isolation":
            name = "default_transaction_isolation"
    elif name.lower() in SETTABLE or node.get("kind") == "VAR_RESET_ALL":
        return
    raise Refused(f'setting configuration parameter "{name}" not supported')


def check_isolation(name, level):
    if name == "transaction_isolation" and level != "repeatable read":
        raise Refused(f"Unsupported isolation level: {level.upper()}")


TRANSACTIONS = {"TRANS_STMT_BEGIN": BEGIN, "TRANS_STMT_START": BEGIN,
                "TRANS_STMT_COMMIT": COMMIT, "TRANS_STMT_ROLLBACK": ROLLBACK}


def transaction(node, verdict):
    kind = node["kind"]
    if kind not in TRANSACTIONS:
        words = kind[11:].replace("_", " ")
        raise Refused(f"unsupported transaction statement: {words}")
    if node.get("chain"):
        raise Refused("unsupported transaction statement: AND CHAIN")  # GUESS
    for name, value in options(node).items():
        if isinstance(value, dict):
            check_isolation(name, value.get("sval", ""))
    verdict.kind = TRANSACTIONS[kind]


DROPPED = {"OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_VIEW", "OBJECT_SCHEMA",
           "OBJECT_SEQUENCE", "OBJECT_FUNCTION", "OBJECT_DOMAIN"}
RENAMED = {"OBJECT_TABLE", "OBJECT_COLUMN", "OBJECT_INDEX", "OBJECT_VIEW",
           "OBJECT_SCHEMA", "OBJECT_SEQUENCE", "OBJECT_TABCONSTRAINT",
           "OBJECT_FUNCTION", "OBJECT_DOMAIN"}


def create_role(node, verdict):
    if set(options(node)) - {"canlogin"}:
        raise Refused("unsupported option for CREATE ROLE")         # GUESS
    login = "true" if options(node).get("canlogin") else "false"
    verdict.sql = f"CALL sys.create_role('{node['role']}', {login})"
    verdict.tag = "CREATE ROLE"


def judge_ddl(name, node, verdict, is_async):
    verdict.kind = DDL
    if name == "CreateStmt":
        create_table(node, verdict)
    elif name == "IndexStmt":
        create_index(node, verdict, is_async)
    elif name == "AlterTableStmt":
        alter_table(node, verdict, is_async)
    elif name == "DropStmt" and (node["removeType"] not in DROPPED
                                 or node.get("concurrent")):
        raise Refused("unsupported object in DROP statement")
    elif name == "RenameStmt" and node["renameType"] not in RENAMED:
        raise Refused("unsupported object in RENAME statement")
    elif name == "CreateSeqStmt":
        check_cache(options(node), "CREATE SEQUENCE")
    elif name == "CreateFunctionStmt":
        if node.get("is_procedure"):
            raise Refused("PROCEDURE is not supported")
        language = options(node).get("language", "sql")
        if language != "sql":
            raise Refused(f"CREATE FUNCTION with language {language} not "
                          "supported")
    elif name == "GrantStmt" and node["objtype"] == "OBJECT_SCHEMA" \
            and names(node.get("objects")) in (["public"], ["sys"]):
        raise Refused("feature not supported on system entity")
    elif name == "CreateRoleStmt":
        create_role(node, verdict)


def judge_node(name, node, verdict, is_async):
    if name in ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"):
        check_query({name: node})
        found = {found for found, _ in nodes({name: node})}
        writes = found & {"InsertStmt", "UpdateStmt", "DeleteStmt"}
        verdict.kind = WRITE if writes else READ
        verdict.locks = "LockingClause" in found
        verdict.returns = "returningClause" in found \
            or "returningList" in node
        verdict.rows = rows_of(name, node)
    elif name == "TransactionStmt":
        transaction(node, verdict)
    elif name in DDL_NODES:
        judge_ddl(name, node, verdict, is_async)
    elif name == "VariableSetStmt":
        check_set(node)
    elif name == "VariableShowStmt":
        if node.get("name") == "lc_collate":
            raise Refused('unrecognized configuration parameter "lc_collate"',
                          "42704")
    elif name == "VacuumStmt":
        if node.get("is_vacuumcmd"):
            raise Refused("unsupported VACUUM statement")
    elif name == "CallStmt":
        if names(node["funccall"]["funcname"]) != ["sys", "wait_for_job"]:
            raise Refused("unsupported statement: Call")            # GUESS
    elif name == "DeallocateStmt":
        if node.get("name"):
            raise Refused("unsupported statement: Deallocate")      # GUESS
    elif name == "ConstraintsSetStmt":
        pass
    elif name == "ExplainStmt":
        inner, value = next(iter(node["query"].items()))
        judge_node(inner, value, verdict, is_async)
        verdict.kind = READ
    else:
        short = name[:-4] if name.endswith("Stmt") else name
        raise Refused(NAMED.get(name, f"unsupported statement: {short}"))


def rows_of(name, node):
    """INSERT … VALUES changes as many rows as it lists, at most."""
    if name == "InsertStmt":
        values = node.get("selectStmt", {}).get("SelectStmt", {}) \
            .get("valuesLists")
        if values:
            return len(values)
    return None


ASYNC_INDEX = re.compile(r"(\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+)ASYNC\b", re.I)
ASYNC_ALTER = re.compile(r"(\s*ALTER\s+TABLE\s+)ASYNC\b", re.I)
IAM = re.compile(r"\s*AWS\s+IAM\s+(GRANT|REVOKE)\s+(?:\"([^\"]+)\"|(\w+))\s+"
                 r"(?:TO|FROM)\s+'([^']+)'\s*;?\s*$", re.I)


def judge_iam(match):
    verb, quoted, plain, arn = match.groups()
    role = quoted or plain.lower()
    verdict = Verdict(DDL, f"CALL sys.iam_{verb.lower()}('{role}', '{arn}')")
    verdict.tag = verb.upper()
    return [verdict]


def syntax_error(sql, problem):
    """PostgreSQL says it itself, except about words that only DSQL knows."""
    verdict = Verdict(OTHER, sql)
    if ASYNC_INDEX.match(sql) or ASYNC_ALTER.match(sql):
        verdict.refused = ("42601", str(problem.args[0]))
    return [verdict]


def split(raw, statement):
    start = statement.get("stmt_location", 0)
    length = statement.get("stmt_len", 0)
    return raw[start:start + length if length else len(raw)].decode().strip()


@functools.lru_cache(maxsize=4096)
def judge(sql):
    match = IAM.match(sql)
    if match:
        return judge_iam(match)

    plain, count = ASYNC_INDEX.subn(r"\1", sql)
    if not count:
        plain, count = ASYNC_ALTER.subn(r"\1", sql)

    try:
        tree = json.loads(parser.parse_sql_json(plain))
    except parser.ParseError as problem:
        return syntax_error(sql, problem)

    verdicts = []
    for statement in tree.get("stmts", []):
        text = split(plain.encode(), statement)
        verdict = Verdict(OTHER, text)
        name, node = next(iter(statement["stmt"].items()))
        try:
            judge_node(name, node, verdict, bool(count))
        except Refused as refused:
            verdict.refused = (refused.code, refused.words)
        if verdict.locks and len(tree["stmts"]) == 1:
            verdict.unlocked = re.sub(r"\s+FOR\s+(UPDATE|KEY\s+SHARE)\b.*$",
                                      "", text, flags=re.I | re.S)
        verdicts.append(verdict)
    return verdicts
