#!/bin/bash
# A vault's database and files as a folder, and back: aws/backup.sh --help

set -euo pipefail

usage() {
    cat <<'_EOF_'
usage: aws/backup.sh dump FOLDER [option ...]
       aws/backup.sh restore FOLDER [option ...]

dump writes FOLDER/database.sql, all rows as of one moment, and FOLDER/files.
restore fills the tables of a vault that was just deployed and that nobody
uses yet.  Rows that are there stay, so it may be run again.

  --stack NAME      the stack (vault)
  --region REGION   where (AWS_REGION, or as "aws configure" has it)
  --host HOST       another cluster than the stack's, such as one that AWS
                    Backup has restored
  --no-files        the database only
  --database URL    a PostgreSQL by its URL, without files and without AWS

Whoever runs it needs dsql:DbConnectAdmin on the cluster, and psql.
_EOF_
}

STACK=vault
REGION=
FILES=1
CLUSTER=
URL=

fail() {
    echo "aws/backup.sh: $*" >&2
    exit 1
}

say() {
    echo "== $*" >&2
}

aws_() {
    aws --region "$REGION" --output text "$@"
}


read_arguments() {
    case ${1-} in
        dump | restore) WHAT=$1 ;;
        -h | --help)    usage; exit 0 ;;
        *)              usage >&2; exit 2 ;;
    esac

    [[ -n ${2-} && $2 != --* ]] || fail "$WHAT needs a folder"
    FOLDER=$2
    shift 2

    while (($#)); do
        case $1 in
            --no-files) FILES=; shift; continue ;;
            --stack | --region | --host | --database) ;;
            *) usage >&2; fail "there is no $1" ;;
        esac

        [[ -n ${2-} ]] || fail "$1 needs a value"

        case $1 in
            --stack)  STACK=$2 ;;
            --region) REGION=$2 ;;
            --host)   CLUSTER=$2 ;;
            *)        URL=$2 ;;
        esac
        shift 2
    done
}


output() {
    aws_ cloudformation describe-stacks --stack-name "$STACK" \
        --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}


# psql finds what it needs in its environment, not in arguments.
connect() {
    local roots

    command -v psql > /dev/null || fail "needs psql, of the PostgreSQL client"

    if [[ -n $URL ]]; then
        FILES=
        return
    fi

    [[ -n $REGION ]] || REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
    [[ -n $REGION ]] || REGION=$(aws configure get region || true)
    [[ -n $REGION ]] || fail "which region? --region, or AWS_REGION"

    for roots in /etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem
    do
        [[ ! -r $roots ]] || break
    done

    PGHOST=${CLUSTER:-$(output ClusterEndpoint)}
    PGPASSWORD=$(aws_ dsql generate-db-connect-admin-auth-token \
        --hostname "$PGHOST") \
        || fail "that needs version 2 of the AWS command line client"
    export PGHOST PGPASSWORD PGUSER=admin PGDATABASE=postgres
    export PGSSLMODE=verify-full PGSSLROOTCERT=${PGSSLROOTCERT:-$roots}
}


sql() {
    psql -XqAt -v ON_ERROR_STOP=1 ${URL:+-d "$URL"} "$@"
}


# Statements that print statements: psql's own \copy needs COPY, which Aurora
# DSQL does not have.  A transaction of it takes 3,000 rows and 10 MiB.
print_inserts() {
    local table columns values

    echo 'BEGIN ISOLATION LEVEL REPEATABLE READ;'
    # Of the database that is filled: the key that it has made meanwhile
    echo "SELECT 'DELETE FROM server_keys;';"

    while IFS='|' read -r table columns values; do
        cat <<_EOF_
SELECT CASE WHEN part IS DISTINCT FROM lag(part) OVER (ORDER BY n)
            THEN 'COMMIT; BEGIN;' || chr(10) ELSE '' END || line
FROM (SELECT n, line, n / 500
             + CAST(floor(sum(octet_length(line)) OVER (ORDER BY n) / 2000000)
                    AS bigint) AS part
      FROM (SELECT row_number() OVER () AS n,
                   'INSERT INTO $table ($columns) VALUES (' || $values
                   || ') ON CONFLICT DO NOTHING;' AS line
            FROM $table) AS rows) AS parts
ORDER BY n;
_EOF_
    done

    echo 'COMMIT;'
}


dump() {
    local tables

    mkdir -p "$FOLDER"
    say "the database into $FOLDER/database.sql"

    tables=$(sql -F '|' -c "
        SELECT table_name,
               string_agg(column_name, ', ' ORDER BY ordinal_position),
               string_agg('quote_nullable(' || column_name || ')',
                          ' || '', '' || ' ORDER BY ordinal_position)
        FROM information_schema.columns
        WHERE table_schema = 'public'
        GROUP BY table_name ORDER BY table_name")
    [[ $tables = *server_keys* ]] || fail "there is no vault in this database"

    # Whole or not there: a copy that broke off is none.
    umask 077
    {
        echo "BEGIN;"
        print_inserts <<< "$tables" | sql -f -
        echo "COMMIT;"
        echo "-- whole"
    } > "$FOLDER/database.sql.new"
    mv "$FOLDER/database.sql.new" "$FOLDER/database.sql"

    echo "$(grep -c '^INSERT' "$FOLDER/database.sql") rows" >&2

    if [[ -n $FILES ]]; then
        say "the files into $FOLDER/files"
        aws_ s3 sync --only-show-errors --delete \
            "s3://$(output FilesBucketName)/files" "$FOLDER/files"
    fi
}


restore() {
    local users
    [[ $(tail -n 1 "$FOLDER/database.sql" 2> /dev/null) = '-- whole' ]] \
        || fail "$FOLDER/database.sql is not there, or not whole"

    users=$(sql -c 'SELECT count(*) FROM users' 2> /dev/null) \
        || fail "the database has no tables: deploy first"
    if [[ $users != 0 && -z ${RESTORE_OVER-} ]]; then
        fail "the vault has $users users already. RESTORE_OVER=1 adds what it" \
             "lacks and changes nothing that it has"
    fi

    if [[ -n $FILES ]]; then
        say "the files"
        aws_ s3 sync --only-show-errors "$FOLDER/files" \
            "s3://$(output FilesBucketName)/files"
    fi

    say "the database"
    sql -f "$FOLDER/database.sql"

    # What runs has read another key.
    if [[ -z $URL ]]; then
        aws_ lambda update-function-configuration > /dev/null \
            --function-name "$(output FunctionName)" \
            --description "The vault, restored $(date -u +%F)"
    fi
}


read_arguments "$@"
connect
$WHAT
