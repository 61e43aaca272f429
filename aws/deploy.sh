#!/bin/bash
# A vault on AWS, made or brought up to date: aws/deploy.sh --help
#
# Safe to run again: each step looks first at what is there.  It asks nothing.

set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<'_EOF_'
usage: aws/deploy.sh [option ...]

What to deploy, one of these (none: the code stays as it is):
  --build             this source, by "make image-lambda"
  --image REFERENCE   an image: registry/name@sha256:…, docker-archive:FILE
  --zip FILE          the zip flavour, which needs no image repository

  --web-vault PLACE   a web vault build: its folder, or its .tar.gz
  --arch ARCH         arm64 or x86_64, what the code was built for; with
                      --build that of this machine, else arm64
  --set NAME=VALUE    a parameter of template.yaml, such as
                      DomainName=vault.example.com; may be repeated, and is
                      remembered by the stack
  --stack NAME        the stack and what it makes (vault)
  --region REGION     where (AWS_REGION, or as "aws configure" has it)
  --rotate-secret     a new secret between CloudFront and the function, without
                      refusing anybody meanwhile
  --dry-run           only say what would be done; looks, and changes nothing
_EOF_
}

STACK=vault
REGION=
CODE=
SOURCE=
ARCH=
WEB=
SETTINGS=()
ROTATE=
DRY=


say() {
    echo "$*" >&2
}

fail() {
    say "aws/deploy.sh: $*"
    exit 1
}

# The next step, so that whoever waits knows for what
step() {
    say "== $*"
}


# Changes something: not in a dry run.
run() {
    if [[ -n $DRY ]]; then
        printf 'would run:' >&2
        printf ' %q' "$@" >&2
        printf '\n' >&2
    else
        "$@"
    fi
}

aws_() {
    aws --region "$REGION" --output text "$@"
}


choose_code() {
    [[ -z $CODE ]] || fail "one of --build, --image and --zip"
    CODE=$1
    SOURCE=${2-}
}


read_arguments() {
    while (($#)); do
        case $1 in
            --build | --rotate-secret | --dry-run | --help | -h) ;;
            --image | --zip | --web-vault | --arch | --set | --stack | --region)
                [[ -n ${2-} ]] || fail "$1 needs a value" ;;
            *)
                usage >&2
                fail "there is no $1" ;;
        esac

        case $1 in
            --build)         choose_code build; shift ;;
            --image)         choose_code image "$2"; shift 2 ;;
            --zip)           choose_code zip "$2"; shift 2 ;;
            --web-vault)     WEB=$2; shift 2 ;;
            --arch)          ARCH=$2; shift 2 ;;
            --set)           SETTINGS+=("$2"); shift 2 ;;
            --stack)         STACK=$2; shift 2 ;;
            --region)        REGION=$2; shift 2 ;;
            --rotate-secret) ROTATE=1; shift ;;
            --dry-run)       DRY=1; shift ;;
            *)               usage; exit 0 ;;
        esac
    done
}


# Those of both flavours
template_parameters() {
    { cat "$HERE/template.yaml"; "$HERE/zip-template"; } \
        | sed -n '/^Parameters:/,/^Rules:/p'
}


check_arguments() {
    local setting known

    [[ $STACK =~ ^[a-z][a-z0-9-]{0,31}$ ]] \
        || fail "a stack's name is of small letters, digits and \"-\", as it" \
                "names buckets too: not \"$STACK\""

    case $ARCH in
        '' | arm64 | x86_64) ;;
        amd64)   ARCH=x86_64 ;;
        aarch64) ARCH=arm64 ;;
        *)       fail "--arch is arm64 or x86_64" ;;
    esac

    known=$(template_parameters)

    for setting in "${SETTINGS[@]}"; do
        [[ $setting =~ ^[A-Za-z0-9]+= ]] \
            || fail "--set takes NAME=VALUE, not \"$setting\""
        grep -q "^  ${setting%%=*}:\$" <<< "$known" \
            || fail "template.yaml has no parameter \"${setting%%=*}\""

        case ${setting%%=*} in
            ImageUri | ZipBucket | ZipKey | Architecture)
                fail "--set ${setting%%=*}: that is for --build, --image," \
                     "--zip and --arch" ;;
            OriginSecret*)
                fail "--set ${setting%%=*}: that is for --rotate-secret" ;;
        esac
    done

    [[ -z $ARCH || -n $CODE ]] \
        || fail "--arch is of the code: with --build, --image or --zip"
    [[ $CODE != zip || -r $SOURCE ]] || fail "--zip: there is no $SOURCE"
    [[ -z $WEB || -r $WEB ]] || fail "--web-vault: there is no $WEB"
}


check_tools() {
    local tool

    for tool in aws openssl sha256sum curl; do
        command -v "$tool" > /dev/null || fail "needs $tool, please install it"
    done

    [[ -n $REGION ]] || REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
    [[ -n $REGION ]] || REGION=$(aws configure get region || true)
    [[ -n $REGION ]] || fail "which region? --region, or AWS_REGION"

    ACCOUNT=$(aws_ sts get-caller-identity --query Account) \
        || fail "AWS does not know you: \"aws configure\", or \"aws sso login\""
}


# The stack as it is: none, or a state of CloudFormation.
look() {
    local said

    if said=$(aws_ cloudformation describe-stacks --stack-name "$STACK" \
              --query 'Stacks[0].StackStatus' 2>&1)
    then
        STATE=$said
    elif [[ $said = *"does not exist"* ]]; then
        STATE=none
    else
        fail "$said"
    fi

    # A plan that was never carried out is nothing yet.
    [[ $STATE != REVIEW_IN_PROGRESS ]] || STATE=none

    case $STATE in
        ROLLBACK_COMPLETE | ROLLBACK_FAILED | DELETE_FAILED)
            fail "the stack is $STATE: an earlier attempt failed at the" \
                 "start. Delete what is left of it, and come again:" \
                 "aws cloudformation delete-stack --region $REGION" \
                 "--stack-name $STACK" ;;
        *_IN_PROGRESS)
            fail "the stack is $STATE: somebody is at it. Come again later" ;;
        *_FAILED)
            fail "the stack is $STATE: look at its events in the console" ;;
    esac

    [[ $STATE != none || -n $CODE ]] \
        || fail "there is no stack $STACK in $REGION yet: it needs --build," \
                "--image or --zip"
    [[ $STATE != none || -z $ROTATE ]] \
        || fail "there is no stack $STACK in $REGION whose secret could change"
}


# What the stack says of itself, asked once after each change

output() {
    [[ -s $TEMP/outputs ]] \
        || aws_ cloudformation describe-stacks --stack-name "$STACK" \
            --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]' \
            > "$TEMP/outputs"
    sed -n "s/^$1\t//p" "$TEMP/outputs"
}

parameter() {
    aws_ cloudformation describe-stacks --stack-name "$STACK" \
        --query "Stacks[0].Parameters[?ParameterKey=='$1'].ParameterValue"
}


# The code

choose_arch() {
    local here
    here=$(uname -m)
    [[ $here != aarch64 ]] || here=arm64

    if [[ -n $ARCH ]]; then
        return
    elif [[ $CODE = build ]]; then
        ARCH=$here
    elif [[ $STATE = none ]]; then
        ARCH=arm64
    else
        ARCH=$(parameter Architecture)
    fi
}


# As AWS wants them: JSON in one line
LIFECYCLE='{"rules":[{"rulePriority":1,"description":"the last ten",
"selection":{"tagStatus":"any","countType":"imageCountMoreThan",
"countNumber":10},"action":{"type":"expire"}}]}'

repository_policy() {
    cat <<_EOF_
{"Version":"2012-10-17","Statement":[{"Sid":"Lambda","Effect":"Allow",
"Principal":{"Service":"lambda.amazonaws.com"},
"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],
"Condition":{"StringEquals":{"aws:SourceAccount":"$ACCOUNT"}}}]}
_EOF_
}


make_repository() {
    REPOSITORY=$ACCOUNT.dkr.ecr.$REGION.amazonaws.com/$STACK
    [[ $REGION != cn-* ]] || REPOSITORY=${REPOSITORY/.com/.com.cn}

    if ! aws_ ecr describe-repositories --repository-names "$STACK" \
         > /dev/null 2>&1
    then
        step "the image repository $STACK"
        run aws_ ecr create-repository --repository-name "$STACK" \
            --image-tag-mutability IMMUTABLE \
            --image-scanning-configuration scanOnPush=true > /dev/null
    fi

    # What runs, and some to go back to
    run aws_ ecr put-lifecycle-policy --repository-name "$STACK" \
        --lifecycle-policy-text "$LIFECYCLE" > /dev/null
    run aws_ ecr set-repository-policy --repository-name "$STACK" \
        --policy-text "$(repository_policy)" > /dev/null
}


build_image() {
    local platform=${ARCH/x86_64/amd64} said

    step "building the image for $ARCH"

    if [[ -n $DRY ]]; then
        run "$HERE/../docker/build" lambda "$platform"
        say "would bring the image that comes of it, and deploy that"
        return
    fi

    said=$(cd "$HERE/.." && docker/build lambda "$platform")
    said=$HERE/../$(tail -n 1 <<< "$said" | sed 's/: .*//')
    [[ -r $said ]] || fail "no image came of it"

    # docker writes the one, buildah the other.
    SOURCE=oci-archive:$said
    ! tar -tf "$said" | grep -qx manifest.json || SOURCE=docker-archive:$said
}


# What can copy this; docker knows archives of its own only.
find_copier() {
    local tools=(skopeo crane docker)

    case $SOURCE in
        docker-archive:*) tools=(skopeo docker) ;;
        oci-archive:*)    tools=(skopeo) ;;
    esac

    for COPIER in "${tools[@]}"; do
        ! command -v "$COPIER" > /dev/null || return 0
    done

    fail "needs one of these to bring the image: ${tools[*]}"
}


# What tells this image from others, as a tag
tag_of() {
    local sum

    case $SOURCE in
        *-archive:*)  sum=$(sha256sum < "${SOURCE#*:}") ;;
        *@sha256:*)   sum=${SOURCE##*@sha256:} ;;
        *)
            fail "--image needs a digest, name@sha256:…, so that the same" \
                 "command deploys the same code tomorrow" ;;
    esac

    echo "${sum:0:32}-$ARCH"
}


# Logs in with a folder of our own, so that no password stays on this machine.
log_in() {
    [[ -z $DRY ]] || return 0
    aws_ ecr get-login-password \
        | "$@" --username AWS --password-stdin "${REPOSITORY%%/*}" > /dev/null
}


# One architecture of it: Lambda takes no list of them.
copy_image() {
    local platform=${ARCH/x86_64/amd64} source=${SOURCE#docker://}

    step "bringing the image with $COPIER"

    case $COPIER in
        skopeo)
            [[ $source = *-archive:* ]] || source=docker://$source
            log_in skopeo login --authfile "$TEMP/auth.json"
            run skopeo copy --quiet --override-os linux \
                --override-arch "$platform" --dest-authfile \
                "$TEMP/auth.json" "$source" "docker://$REPOSITORY:$1" ;;

        crane)
            log_in env DOCKER_CONFIG="$TEMP" crane auth login
            run env DOCKER_CONFIG="$TEMP" crane copy \
                --platform "linux/$platform" "$source" "$REPOSITORY:$1" ;;

        docker)
            log_in docker --config "$TEMP" login

            if [[ $source = docker-archive:* ]]; then
                run docker load --quiet --input "${source#*:}" > /dev/null
                source=ngx-vault-lambda
            else
                run docker pull --quiet --platform "linux/$platform" \
                    "$source" > /dev/null
            fi

            run docker tag "$source" "$REPOSITORY:$1"
            run docker --config "$TEMP" push --quiet "$REPOSITORY:$1" \
                > /dev/null ;;
    esac
}


digest_of() {
    aws_ ecr describe-images --repository-name "$STACK" \
        --image-ids "imageTag=$1" --query 'imageDetails[0].imageDigest' \
        2> /dev/null
}


bring_image() {
    local tag digest

    [[ $CODE != build ]] || build_image
    [[ -n $SOURCE ]] || return 0

    find_copier
    tag=$(tag_of)

    if ! digest=$(digest_of "$tag"); then
        copy_image "$tag"
        digest=$(digest_of "$tag") || digest=
        [[ -n $DRY || -n $digest ]] || fail "ECR does not show the image"
    fi

    # A dry run has no digest yet.
    [[ -z $digest ]] || digest=@$digest
    PARAMETERS+=("ImageUri=$REPOSITORY${digest:-:$tag}" "Architecture=$ARCH")
}


PRIVATE=BlockPublicAcls=true,IgnorePublicAcls=true
PRIVATE+=,BlockPublicPolicy=true,RestrictPublicBuckets=true

bring_zip() {
    local bucket=$STACK-code-$ACCOUNT-$REGION key
    local place=(--create-bucket-configuration "LocationConstraint=$REGION")

    [[ $REGION != us-east-1 ]] || place=()
    key=$(sha256sum < "$SOURCE")
    key=${key:0:32}-$ARCH.zip

    if ! aws_ s3api head-bucket --bucket "$bucket" > /dev/null 2>&1; then
        step "the bucket $bucket for code"
        run aws_ s3api create-bucket --bucket "$bucket" "${place[@]}" \
            > /dev/null
    fi

    run aws_ s3api put-public-access-block --bucket "$bucket" \
        --public-access-block-configuration "$PRIVATE"

    if ! aws_ s3api head-object --bucket "$bucket" --key "$key" \
         > /dev/null 2>&1
    then
        step "bringing the zip"
        run aws_ s3 cp --only-show-errors "$SOURCE" "s3://$bucket/$key"
    fi

    PARAMETERS+=("ZipBucket=$bucket" "ZipKey=$key" "Architecture=$ARCH")
}


bring_code() {
    [[ -z $CODE ]] || choose_arch

    case $CODE in
        build | image) make_repository; bring_image ;;
        zip)           bring_zip ;;
    esac
}


# The stack

# A stack that is given no code remains of its flavour.
write_template() {
    if [[ $CODE = zip
          || -z $CODE && $STATE != none && -n $(parameter ZipKey) ]]
    then
        "$HERE/zip-template" > "$TEMP/template.yaml"
    else
        cat "$HERE/template.yaml" > "$TEMP/template.yaml"
    fi
}


# A file, since arguments of a process can be seen by others on this machine
write_parameters() {
    local parameter comma=

    {
        echo '['
        for parameter in "$@"; do
            parameter=${parameter//\\/\\\\}
            printf '%s"%s"' "$comma" "${parameter//\"/\\\"}"
            comma=$',\n'
        done
        printf '\n]\n'
    } > "$TEMP/parameters.json"
}


why() {
    local failed="StackEvents[?contains(ResourceStatus, 'FAILED')]"

    aws_ cloudformation describe-stack-events --stack-name "$STACK" \
        --max-items 60 --query \
        "$failed.[LogicalResourceId, ResourceStatusReason]" \
        | grep -v 'esource creation cancelled' >&2 || true
}


deploy() {
    local parameter

    local overrides=()

    step "the stack $STACK in $REGION; CloudFront takes some minutes"

    if (($#)); then
        write_parameters "$@"
        overrides=(--parameter-overrides "file://$TEMP/parameters.json")
    fi

    for parameter in "$@"; do
        case $parameter in
            OriginSecret=* | OriginSecretOther=*)
                say "   ${parameter%%=*} = (a secret)" ;;
            *)
                say "   ${parameter%%=*} = ${parameter#*=}" ;;
        esac
    done

    run aws_ cloudformation deploy --stack-name "$STACK" \
        --template-file "$TEMP/template.yaml" \
        --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
        "${overrides[@]}" >&2 \
        || { why; fail "CloudFormation has refused; what it did is undone"; }
    rm -f "$TEMP/outputs"
}


new_secret() {
    openssl rand -hex 24
}


# The one that is not sent is changed first; then it is sent; then the old one
# goes.  Each deployment waits for all of CloudFront.
rotate() {
    local sent secret
    sent=$(output SecretSent)
    secret=$(new_secret)

    case $sent in
        first)
            deploy "OriginSecretOther=$secret"
            deploy "OriginSecretSent=other"
            deploy "OriginSecret=$secret" ;;
        other)
            deploy "OriginSecret=$secret"
            deploy "OriginSecretSent=first"
            deploy "OriginSecretOther=$secret" ;;
        *)
            fail "the stack does not say which secret is sent" ;;
    esac
}


# After the stack

# A cluster that has just been made, or has slept, needs a moment.
migrate() {
    local function tries
    function=$(output MigrateFunctionName)

    step "the database's tables"
    printf '{"job":"migrate"}' > "$TEMP/event"
    run aws_ lambda wait function-updated-v2 --function-name "$function"

    for tries in 1 2 3 4 5 6; do
        run aws_ lambda invoke --function-name "$function" \
            --payload "fileb://$TEMP/event" --cli-read-timeout 630 \
            "$TEMP/answer" > "$TEMP/invoked" \
            || fail "the migration could not be started"

        if [[ -n $DRY ]]; then
            return
        fi

        # {"statusCode":200,…} and the answer itself, after NULs; or an error.
        tr -d '\000' < "$TEMP/answer" > "$TEMP/said"

        if ! grep -q Unhandled "$TEMP/invoked" \
            && grep -q '"steps" *: *[0-9]' "$TEMP/said"
        then
            say "   $(grep -o '"steps" *: *[0-9]*' "$TEMP/said" \
                      | tr -dc 0-9) steps were missing"
            return
        fi

        say "   not yet: $(head -c 400 "$TEMP/said")"
        [[ $tries = 6 ]] || sleep "${DEPLOY_PAUSE:-15}"
    done

    fail "the migration failed; its log is" \
         "aws logs tail --region $REGION --since 15m $(output LogGroupName)"
}


type_of() {
    case ${1##*/} in
        *.html)        echo 'text/html; charset=utf-8' ;;
        *.js | *.mjs)  echo 'text/javascript; charset=utf-8' ;;
        *.css)         echo 'text/css; charset=utf-8' ;;
        *.json | *.map) echo 'application/json' ;;
        *.webmanifest) echo 'application/manifest+json' ;;
        *.wasm)        echo 'application/wasm' ;;
        *.svg)         echo 'image/svg+xml' ;;
        *.png)         echo 'image/png' ;;
        *.jpg)         echo 'image/jpeg' ;;
        *.gif)         echo 'image/gif' ;;
        *.ico)         echo 'image/x-icon' ;;
        *.woff2)       echo 'font/woff2' ;;
        *.woff)        echo 'font/woff' ;;
        *.ttf)         echo 'font/ttf' ;;
        *.txt)         echo 'text/plain; charset=utf-8' ;;
        *.xml)         echo 'application/xml' ;;
        *)             echo 'application/octet-stream' ;;
    esac
}


unpack_web() {
    if [[ -d $WEB ]]; then
        WEB=$(cd "$WEB" && pwd)
    else
        mkdir "$TEMP/web"
        tar -xzf "$WEB" -C "$TEMP/web" || fail "$WEB is no .tar.gz"
        WEB=$TEMP/web
    fi

    # The archive has one folder in it.
    [[ -e $WEB/index.html || ! -e $WEB/web-vault/index.html ]] \
        || WEB=$WEB/web-vault
    [[ -e $WEB/index.html ]] || fail "$WEB has no index.html: no web vault"
}


# By how long it may be kept (as src/web/static.c says: the build names files
# by their content) and by type, a tree of links each
sort_web() {
    local file kept type

    (cd "$WEB" && find . -type f) > "$TEMP/files"

    while IFS= read -r file; do
        kept=fresh
        [[ ! ${file%.*} =~ [0-9a-f]{20}$ ]] || kept=kept
        type=$(type_of "$file")
        type=${type%%;*}
        mkdir -p "$TEMP/$kept/${type//\//_}/${file%/*}"
        ln -s "$WEB/$file" "$TEMP/$kept/${type//\//_}/$file"
    done < "$TEMP/files"
}


# Files that pages ask for come before the pages.
sync_web() {
    local bucket=$1 kept tree type control

    for kept in kept fresh; do
        control=no-cache
        [[ $kept = fresh ]] || control='public, max-age=604800, immutable'

        for tree in "$TEMP/$kept"/*/; do
            [[ -d $tree ]] || continue
            type=$(type_of "$(find "$tree" -type l | head -n 1)")

            if [[ $kept = kept ]]; then
                run aws_ s3 sync --only-show-errors --size-only "$tree" \
                    "s3://$bucket/" --content-type "$type" \
                    --cache-control "$control"
            else
                run aws_ s3 cp --recursive --only-show-errors "$tree" \
                    "s3://$bucket/" --content-type "$type" \
                    --cache-control "$control"
            fi
        done
    done

    # What a new build no longer has; sizes only, so that nothing is sent anew
    run aws_ s3 sync --only-show-errors --size-only --delete "$WEB/" \
        "s3://$bucket/"
}


bring_web() {
    sort_web

    step "the web vault, $(wc -l < "$TEMP/files") files"
    sync_web "$(output WebBucketName)"
    run aws_ cloudfront create-invalidation \
        --distribution-id "$(output DistributionId)" --paths '/*' > /dev/null
}


# From the outside: CloudFront, the function, the database
try_it() {
    local name
    name=$(output DistributionName)

    step "asking it"
    run curl -fsS -o /dev/null --retry 12 --retry-delay 5 --retry-all-errors \
        --max-time 30 -H 'Content-Type: application/json' \
        --data '{"email":"nobody@example.com"}' \
        "https://$name/identity/accounts/prelogin" \
        || fail "https://$name does not answer as it should: aws logs tail" \
                "--region $REGION --since 15m $(output LogGroupName)"
}


finish() {
    local address
    address=$(output Address)

    if [[ -n $DRY ]]; then
        say "Nothing was changed."
    else
        say "A vault on $address"
        echo "$address"
    fi
}


read_arguments "$@"
check_arguments
check_tools
look

umask 077
TEMP=$(mktemp -d)
trap 'rm -rf "$TEMP"' EXIT

[[ -z $WEB ]] || unpack_web

PARAMETERS=()
bring_code
PARAMETERS+=("${SETTINGS[@]}")
[[ $STATE != none ]] || PARAMETERS+=("OriginSecret=$(new_secret)")

# What is not said stays as it was; the template may be newer.
write_template
deploy "${PARAMETERS[@]}"
[[ -z $ROTATE ]] || rotate

if [[ $STATE = none && -n $DRY ]]; then
    say "would then make the database's tables${WEB:+, bring the web vault}" \
        "and ask it from the outside"
    say "Nothing was changed."
    exit 0
fi

migrate
[[ -z $WEB ]] || bring_web
try_it
finish
