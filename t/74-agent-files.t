# Secrets in files: what is in them, when they are written, what happens when
# they cannot be.

use strict;
use warnings;

use lib 't/lib';

use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

use VaultAgent;
use VaultNginx;

delete @ENV{grep { /^AWS_/ } keys %ENV};

my $vault = vault();
my $dir = folder() . '/files';

mkdir $dir;


sub true { return JSON::PP::true }
sub false { return JSON::PP::false }


sub fresh {
    my (%secrets) = @_;

    $vault->clear;
    $vault->set(token_ttl => 3600, lease_ttl => 3600, lease_max => 86400,
                lease_renewable => true, denied => [], sealed => false,
                secrets => {
        'secret/app' => { user => 'alice', password => "p'a\"\$s\n<&>",
                          list => [1, { b => 2, a => [] }, {}],
                          'odd-name.1' => JSON::PP::null },
        'secret/other' => { key => 'hidden-key' },
        'kv/old' => { value => 'v1' },
        %secrets,
    });
    unlink glob "$dir/*";
}


sub text { my $t = VaultNginx::read_file($_[0]); return $t }

sub mode { return sprintf '%04o', (stat $_[0])[2] & 07777 }


sub with {
    my ($lines, %arg) = @_;

    return agent($vault, location => '', http => $lines, %arg);
}


# The file is there, and what is in it

sub file_is {
    my ($line, $want, $what) = @_;

    my $file = "$dir/out";
    unlink $file;
    $line =~ s/FILE/$file/;

    my $nginx = with("vault_agent_secret $line;");
    until_true { -e $file } "$what: written";

    ref $want ? like(text($file), $want, '  as it should be')
              : is(text($file), $want, '  as it should be');
    ends_clean($nginx, 'alice', 'v1"');
    return $file;
}


sub test_formats {
    fresh();

    my $file = file_is('secret/data/app FILE', qr/\A\{
  "request_id": "[0-9a-f]{32}",
  "lease_id": "",
  "lease_duration": 0,
  "renewable": false,
  "data": \{
    "data": \{
      "list": \[
        1,
        \{
          "a": \[\],
          "b": 2
        \},
        \{\}
      \],
      "odd-name\.1": null,
      "password": "p'a\\"\$s\\n\\u003c\\u0026\\u003e",
      "user": "alice"
    \},
    "metadata": \{
      "created_time": "[^"]+",
      "custom_metadata": null,
      "deletion_time": "",
      "destroyed": false,
      "version": \d+
    \}
  \},
  "warnings": null
\}\z/, 'the extension\'s JSON');
    is(mode($file), '0600', '  for its owner alone');

    $file = file_is('secret/data/other FILE data 0640',
                    "{\n  \"key\": \"hidden-key\"\n}\n", 'the values of KV 2');
    is(mode($file), '0640', '  with a mode');

    file_is('/v1/kv/old FILE data', "{\n  \"value\": \"v1\"\n}\n", 'of KV 1');
    file_is('secret/data/app FILE key=user', 'alice', 'one key');
    file_is('secret/data/app FILE key=password', "p'a\"\$s\n<&>", 'as it is');

    $file = file_is('secret/data/app FILE env', <<'_EOF_', 'variables');
list='[1, {"a": [], "b": 2}, {}]'
odd_name_1='null'
password='p'\''a"$s
<&>'
user='alice'
_EOF_
    is(`. '$file' && printf %s "\$password"`, "p'a\"\$s\n<&>",
       '  as a shell reads them');
}


sub test_template {
    fresh();

    my $template = save('template', <<'_EOF_');
user={{ user }}
json={{password|json}} {not} a } place
shell={{ password | shell }}
base64={{ user | base64 }}
other={{ secret/data/other#key }} {{ kv/old#value }}
_EOF_

    file_is("secret/data/app FILE template=$template", <<'_EOF_', 'filled in');
user=alice
json="p'a\"$s\n\u003c\u0026\u003e" {not} a } place
shell='p'\''a"$s
<&>'
base64=YWxpY2U=
other=hidden-key v1
_EOF_

    for my $case (
        ['{{ nobody }}', qr/it has no such key/],
        ['{{ user', qr/"\{\{" without its/],
        ['{{ }}', qr/names nothing/],
        ['{{ user | upper }}', qr/none of json, shell, base64/],
        ['{{ secret/data/none#x }}', qr/answered with 404/],
    ) {
        my ($text, $why) = @$case;
        save('template', $text);
        fails_with("secret/data/app FILE template=$template", $why,
                   "a template \"$text\"");
    }

    fails_with('secret/data/app FILE template=/nowhere',
               qr/template "\/nowhere" cannot be read/, 'no template');
}


sub fails_with {
    my ($line, $pattern, $what, %arg) = @_;

    my $file = "$dir/fails";
    VaultNginx::write_file($file, 'old') if !$arg{new};
    $line =~ s/FILE/$file/;

    my $nginx = with("vault_agent_secret $line;", %arg);
    log_has($nginx, $pattern, "$what: told");

    if ($arg{new}) {
        ok(!-e $file, '  and there is no file');
    } else {
        is(text($file), 'old', '  and the file is the old one');
    }

    ends_clean($nginx, 'alice');

    my @lines = grep { /\[error\].*secret "/ } split /\n/, $nginx->log_text;
    is(scalar @lines, 1, '  once') or diag(join "\n", @lines);
    unlink $file;
}


sub test_faults {
    fresh();

    fails_with('secret/data/none FILE', qr/answered with 404; write it, or/,
               'a secret that is not there');
    fails_with('secret/data/app FILE key=none', qr/it has no such key/,
               'a key that is not there');

    $vault->set(denied => ['secret/data/app']);
    fails_with('secret/data/app FILE', qr/with 403; allow "read" on it/,
               'a permission that is not given', new => 1);
    $vault->set(denied => []);

    for my $fault (['badjson', qr/is no secret; is the address/],
                   ['html', qr/is no secret; is the address/],
                   ['oversized', qr/be read: .*too large; make several/],
                   ['close', qr/be read: .*; is the Vault up, and is "vault_a/],
                   ['412', qr/with 412; this node is behind the others/],
                   ['429', qr/with 429; this node is a standby or out of its/],
                   ['472', qr/with 472; this node is a standby or out of its/],
                   ['473', qr/with 473; this node is a standby or out of its/],
                   ['503', qr/with 503; is the Vault sealed/],
                   ['500', qr/answered with 500; see the log/])
    {
        my ($kind, $pattern) = @$fault;
        $vault->set(fail => [{ op => 'read', kind => $kind, times => 99 }]);
        fails_with('secret/data/app FILE', $pattern, "an answer of $kind",
                   options => 'retries=0');
        $vault->set(fail => []);
    }

    # a folder where the file should be; one that cannot be made
    mkdir "$dir/folder";
    mkdir "$dir/folder/file";
    my $nginx = with("vault_agent_secret secret/data/app $dir/folder/file;");
    log_has($nginx, qr/cannot replace ".*" \(Is a directory\)/, 'a folder');
    ends_clean($nginx);
    is_deeply([glob "$dir/folder/file.*"], [], 'and nothing left beside it');

    save('in-the-way', 'x');
    $nginx = with('vault_agent_secret secret/data/app '
                  . folder() . '/in-the-way/file;');
    log_has($nginx, qr/cannot make .* "[^"]+" \(Not a dir.*let nginx's user/,
            'an unwritable folder');
    ends_clean($nginx);
}


sub test_changes {
    fresh();

    my $mark = "$dir/mark";
    my $script = save('command', <<"_EOF_");
#!/bin/sh
echo "\$1 \$2" >> $mark
[ "\$1" = one ]
_EOF_
    chmod 0755, $script;

    my $nginx = with(<<"_EOF_");
vault_agent_secret secret/data/other $dir/a key=key every=1s
                   "run=$script one two";
vault_agent_secret secret/data/other $dir/deep/er/b key=key every=1s
                   "run=$script 2";
vault_agent_secret kv/old $dir/c key=value every=1s run=/nowhere;
_EOF_

    until_true { -e "$dir/a" && -e "$dir/deep/er/b" && -e "$dir/c" } 'three';
    log_has($nginx, qr/command ".*command" has ended with 1; the file is/,
            'a command that fails');
    log_has($nginx, qr/command "\/nowhere" cannot be run: 127/,
            'one that is not there');

    my $node = (stat "$dir/a")[1];
    sleep 1.5;
    is((stat "$dir/a")[1], $node, 'what has not changed is not written');

    $vault->set(secrets => { 'secret/other' => { key => 'hidden-new' } });
    until_true { text("$dir/a") eq 'hidden-new' } 'what has is';
    until_true { text($mark) =~ /one two\n.*one two\n/s } 'and told', 5;

    # permission lost: what is there stays
    $vault->set(denied => ['secret/data/other']);
    log_has($nginx, qr/403; allow "read"/, 'permission lost');
    is(text("$dir/a"), 'hidden-new', 'the file stays');
    $vault->set(denied => [], secrets => {
        'secret/other' => { key => 'hidden-third' } });
    until_true { text("$dir/a") eq 'hidden-third' } 'until it is back', 10;

    sleep 1.5;                          # its command, and the other's

    my @runs = split /\n/, text($mark);
    $nginx->signal('HUP');
    until_true { $nginx->log_text =~ /gracefully shutting down/ } 'a reload';
    sleep 1;
    is(scalar(split /\n/, text($mark)), scalar(@runs),
       'writes nothing that is there');
    ends_clean($nginx);
}


# A pause that is longer than every= is one: the other secret is the clock.

sub reads {
    my ($path) = @_;

    return scalar grep { $_->{op} eq 'read' && $_->{target} eq "/v1/$path" }
                       $vault->asked;
}


sub test_pause {
    fresh();

    my $nginx = with(<<"_EOF_", options => 'retries=0');
vault_agent_secret secret/data/none $dir/none every=1s;
vault_agent_secret secret/data/other $dir/other every=1s;
_EOF_

    until_true { reads('secret/data/other') >= 5 } 'read again and again', 10;

    my $reads = reads('secret/data/none');
    ok($reads >= 2, 'what fails too');
    ok($reads <= 5, '  but no more often') or diag($reads);
    ends_clean($nginx);
}


sub test_leases {
    fresh();
    $vault->set(lease_ttl => 3);

    my $nginx = with("vault_agent_secret database/creds/app $dir/db env;");
    until_true { -e "$dir/db" } 'dynamic credentials';
    my $first = text("$dir/db");

    until_true { $vault->count('lease-renew') >= 2 } 'renewed', 8;
    is(text("$dir/db"), $first, 'are the same');

    $vault->set(lease_renewable => false);
    until_true { text("$dir/db") ne $first } 'not renewable: others', 8;
    $vault->set(lease_renewable => true);
    ends_clean($nginx, 'dyn-');
}


# Leases end with their token: those of the secret, and of its template.

sub test_tokens {
    fresh();
    $vault->set(token_ttl => 3, renewable => false);

    my $template = save('template', '{{ key }} {{ database/creds/x#password}}');
    my $nginx = with(<<"_EOF_");
vault_agent_secret database/creds/app $dir/db env;
vault_agent_secret secret/data/other $dir/mixed template=$template;
_EOF_

    until_true { -e "$dir/db" && -e "$dir/mixed" } 'credentials of a token';
    $vault->set(token_ttl => 3600, renewable => true);

    my ($db, $mixed) = (text("$dir/db"), text("$dir/mixed"));
    until_true { text("$dir/db") ne $db } 'others for another token', 8;
    until_true { text("$dir/mixed") ne $mixed } 'in a template too', 8;
    ok($vault->count('login') >= 2, 'as there is one');
    ends_clean($nginx, 'dyn-');
}


# The old token's lease, although there is another token when it comes.

sub test_late_answer {
    fresh();
    $vault->set(token_ttl => 3, renewable => false, held => true,
                fail => [{ op => 'read', path => 'database', kind => 'held' }]);

    my $nginx = with("vault_agent_secret database/creds/app $dir/db env;");
    log_has($nginx, qr/logged in/, 'a token');
    $vault->set(token_ttl => 3600, renewable => true);
    log_has($nginx, qr/logged in.*logged in/s, 'another, while one is read');
    is(reads('database/creds/app'), 1, 'with the first');

    $vault->set(held => false);
    until_true { -e "$dir/db" } 'its credentials';
    until_true { reads('database/creds/app') == 2 } 'are replaced', 8;
    ends_clean($nginx, 'dyn-');
}


# A lease that may be prolonged only a little more is changed in time.

sub test_lease_max {
    fresh();
    $vault->set(lease_ttl => 3, lease_max => 4);

    my $nginx = with("vault_agent_secret database/creds/app $dir/db env;");
    until_true { -e "$dir/db" } 'credentials that end';
    my $first = text("$dir/db");
    until_true { text("$dir/db") ne $first } 'are others in time', 6;
    ends_clean($nginx, 'dyn-');
}


sub test_down {
    fresh();
    $vault->set(up => false);

    my $nginx = with("vault_agent_secret secret/data/other $dir/x key=key;",
                     options => 'retries=0');
    log_has($nginx, qr/cannot be read: no login/, 'down at start');
    unlike($nginx->log_text, qr/be read: no login.*is the Vault up.*is the V/,
           'with one remedy');
    $vault->set(up => true);
    until_true { -e "$dir/x" } 'written when it is up', 10;
    ends_clean($nginx);
}


# One worker writes, and each reader sees all or nothing.

sub test_atomic {
    my ($long, $short) = ('hidden-' . 'a' x 60_000, 'hidden-b');

    fresh('secret/long' => { key => $long });

    my $file = "$dir/long";
    my $nginx = with("vault_agent_secret secret/data/long $file key=key "
                     . 'every=1s;', workers => 3);
    until_true { -e $file } 'a long one';

    my ($bad, $n) = (0, 0);
    my $end = time + 3;

    while (time < $end) {
        my $text = text($file);
        $bad++ if $text ne $long && $text ne $short;
        $vault->set(secrets => { 'secret/long' => {
            key => $n++ % 2 ? $long : $short } }) if $n < time - $end + 3;
    }

    is($bad, 0, 'never half of one');
    my @writes = $nginx->log_text =~ /written to/g;
    ok(@writes <= 5, 'and written by one worker') or diag(scalar @writes);
    ends_clean($nginx);
}


sub test_directive {
    my $n = 0;

    for my $case (
        ['two secrets in one file', qr/two secrets have the same file/,
         "vault_agent_secret a/b $dir/x; vault_agent_secret a/c $dir/x;"],
        ['a format', qr/takes json, data, env/,
         "vault_agent_secret a/b $dir/x xml;"],
        ['a mode', qr/wants a mode/, "vault_agent_secret a/b $dir/x 0999;"],
        ['a mode of more', qr/wants a mode/,
         "vault_agent_secret a/b $dir/x 4755;"],
        ['a path', qr/wants the path of a secret/,
         "vault_agent_secret / $dir/x;"],
        ['a key in the path', qr/wants the path of a secret/,
         "vault_agent_secret a/b#c $dir/x;"],
        ['a time', qr/wants every=/,
         "vault_agent_secret a/b $dir/x every=1ms;"],
        ['a command', qr/wants the whole path/,
         "vault_agent_secret a/b $dir/x run=ls;"],
    ) {
        my ($what, $pattern, $line) = @$case;
        my $nginx = agent($vault, start => 0, location => '', http => $line);
        eval { $nginx->start };
        like($@, $pattern, $what);
        $nginx->stop if !$@;
    }

    my $nginx = VaultNginx->new(name => 'agent-74-none',
        http => "vault_agent_secret a/b $dir/x;");
    eval { $nginx->start };
    like($@, qr/"vault_agent_auth" is missing/, 'no agent at all');
}


test_formats();
test_template();
test_faults();
test_changes();
test_pause();
test_leases();
test_tokens();
test_late_answer();
test_lease_max();
test_down();
test_atomic();
test_directive();

done_testing();
