#!/bin/bash
# Takes a vault off AWS: aws/remove.sh --help

set -euo pipefail

usage() {
    cat <<'_EOF_'
usage: aws/remove.sh [--stack NAME] [--region REGION] [--and-all-data]

Deletes the stack.  The database and the bucket with the files outlive it, and
are named at the end; so do the image repository and nightly copies.

  --and-all-data   these too, but for the nightly copies.  Nothing brings them
                   back.
_EOF_
}

STACK=vault
REGION=
DATA=

fail() {
    echo "aws/remove.sh: $*" >&2
    exit 1
}

say() {
    echo "== $*" >&2
}

aws_() {
    aws --region "$REGION" --output text "$@"
}


while (($#)); do
    case $1 in
        --and-all-data) DATA=1; shift ;;
        --stack)        STACK=${2:?--stack needs a value}; shift 2 ;;
        --region)       REGION=${2:?--region needs a value}; shift 2 ;;
        -h | --help)    usage; exit 0 ;;
        *)              usage >&2; fail "there is no $1" ;;
    esac
done

[[ -n $REGION ]] || REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
[[ -n $REGION ]] || REGION=$(aws configure get region || true)
[[ -n $REGION ]] || fail "which region? --region, or AWS_REGION"


# What it will be called when the stack cannot say it any more.  All are kept
# in a file too, so that an attempt that broke off can go on.
NOTES=${XDG_STATE_HOME:-$HOME/.local/state}/ngx-vault-$STACK-$REGION

remember() {
    local said

    said=$(aws_ cloudformation describe-stacks --stack-name "$STACK" \
        --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]' 2>&1) || {
        [[ $said = *"does not exist"* ]] || fail "$said"
        [[ -r $NOTES ]] || fail "there is no stack $STACK in $REGION"
        return 0
    }

    mkdir -p "${NOTES%/*}"
    echo "$said" > "$NOTES"
}

noted() {
    awk -v key="$1" '$1 == key { print $2 }' "$NOTES"
}


# All versions of all objects, up to 1,000 at a time: no bucket that holds
# something can be deleted.
empty_bucket() {
    local bucket=$1 some

    while some=$(aws_ s3api list-object-versions --bucket "$bucket" \
                     --no-paginate --output json --query "{Objects:
                         [Versions || \`[]\`, DeleteMarkers || \`[]\`][]
                         .{Key: Key, VersionId: VersionId}, Quiet: \`true\`}")
          [[ $some = *VersionId* ]]
    do
        aws_ s3api delete-objects --bucket "$bucket" --delete "$some" \
            > /dev/null
    done
}

remove_bucket() {
    local bucket=$1

    aws_ s3api head-bucket --bucket "$bucket" > /dev/null 2>&1 || return 0
    say "the bucket $bucket"

    empty_bucket "$bucket"
    aws_ s3api delete-bucket --bucket "$bucket"
}


remove_stack() {
    aws_ cloudformation describe-stacks --stack-name "$STACK" \
        > /dev/null 2>&1 || return 0

    [[ -z $(noted WebBucketName) ]] || empty_bucket "$(noted WebBucketName)"

    say "the stack $STACK; CloudFront takes some minutes"
    aws_ cloudformation delete-stack --stack-name "$STACK"
    aws_ cloudformation wait stack-delete-complete --stack-name "$STACK"
}


remove_data() {
    local cluster account
    cluster=$(noted ClusterId)
    account=$(aws_ sts get-caller-identity --query Account)

    if aws_ dsql get-cluster --identifier "$cluster" > /dev/null 2>&1; then
        say "the database $cluster"
        aws_ dsql update-cluster --identifier "$cluster" \
            --no-deletion-protection-enabled > /dev/null
        aws_ dsql delete-cluster --identifier "$cluster" > /dev/null
    fi

    remove_bucket "$(noted FilesBucketName)"
    remove_bucket "$STACK-code-$account-$REGION"

    if aws_ ecr describe-repositories --repository-names "$STACK" \
       > /dev/null 2>&1
    then
        say "the images"
        aws_ ecr delete-repository --repository-name "$STACK" --force \
            > /dev/null
    fi

    rm -f "$NOTES"
}


remember
remove_stack

if [[ -n $DATA ]]; then
    remove_data
else
    echo "What is left: the database $(noted ClusterId), the bucket" \
         "$(noted FilesBucketName), the image repository $STACK." >&2
fi
