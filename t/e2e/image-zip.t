#!/usr/bin/perl
# The zip flavour of the function: that it starts where nothing is installed
# that it needs, as the runtime of Lambda starts it.

use strict;
use warnings;

use FindBin ();
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

use VaultHttp ();
use VaultImage;
use VaultNginx ();
use VaultServer qw(call folder_of);

my $ROOT = $VaultNginx::ROOT;
my $SECRET = 'abcdefghijklmnopqrstuvwxyz';
my $USER = 993;                       # in no /etc/passwd, as Lambda's
my $dir = "/tmp/vault-zip-$$";
my $task = "$dir/task";
my $pid;

END {
    local $?;
    kill 'KILL', $pid if $pid;
    system 'rm', '-rf', $dir;
}


VaultImage->build('lambda');
mkdir $dir;
mkdir "$dir/tmp";
chmod 0777, "$dir/tmp";

my $zip = "$dir/vault.zip";
my @made = map {
    system("'$ROOT/aws/zip' '$ROOT/build/ngx-vault-lambda.tar' '$_' "
           . "> $dir/said 2>&1");
    $? == 0 ? `sha256sum < '$_'` : VaultNginx::read_file("$dir/said");
} $zip, "$dir/again.zip";

like($made[0], qr/^[0-9a-f]{64}/, 'it is made');
is($made[1], $made[0], 'the same each time');
cmp_ok(-s $zip, '<', 50 * 1024 * 1024, 'small enough for Lambda');

system('python3', '-c', <<'_EOF_', $zip, $task) == 0 or die "unzip failed\n";
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as zip:
    for entry in zip.infolist():
        os.chmod(zip.extract(entry, sys.argv[2]),
                 (entry.external_attr >> 16) & 0o777)
_EOF_

ok(-x "$task/bootstrap", 'the runtime finds what it starts');
ok(!-e "$task/opt", 'the adapter is not in it: that is the layer\'s');

# Its port, which is not for two here.  The folder cannot be written to, then.

my $port = VaultNginx::free_port();
my $conf = VaultNginx::read_file("$task/etc/nginx/nginx.conf");
$conf =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/;
$conf =~ s{/tmp/}{$dir/tmp/}g;
VaultNginx::write_file("$task/etc/nginx/nginx.conf", $conf);
system 'chmod', '-R', 'a-w,a+rX', $task;
chmod 0755, $dir;

$pid = fork // die "fork: $!\n";

if ($pid == 0) {
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', "$dir/log";
    open STDERR, '>&', \*STDOUT;
    POSIX::setgid($USER);
    POSIX::setuid($USER);
    chdir '/';
    %ENV = (PATH => '/usr/bin:/bin', _HANDLER => 'bootstrap',
            LAMBDA_TASK_ROOT => $task, AWS_LAMBDA_FUNCTION_NAME => 'vault',
            VAULT_DATABASE => "sqlite:$dir/tmp/vault.db",
            VAULT_FILES => "file:$dir/tmp/files",
            VAULT_ORIGIN_SECRET => $SECRET,
            VAULT_ORIGIN => 'https://vault.example.com');
    exec "$task/bootstrap" or POSIX::_exit(127);
}

my $answer;

for (1 .. 100 * $VaultNginx::SLOW) {
    $answer = VaultHttp::request($port, 'GET', '/alive');
    last if $answer->{status};
    sleep 0.05;
}

is($answer->{status}, 200, 'it is ready')
    or diag VaultNginx::read_file("$dir/log");

$answer = VaultHttp::request(
    $port, 'POST', '/identity/accounts/prelogin',
    ["X-Vault-Origin-Secret: $SECRET", 'Content-Type: application/json'],
    '{"email":"nobody@example.com"}');
is($answer->{status}, 200, 'and has a database');

$answer = VaultHttp::request($port, 'GET', '/api/config');
is($answer->{status}, 403, 'for whom CloudFront sends');

# What it is made of

my ($worker) = VaultNginx::workers_of($pid);
my %mapped = map { $_ => 1 }
             VaultNginx::read_file("/proc/$worker/maps")
             =~ m{ (/\S+\.so\S*)$}mg;
# but for what this machine's nsswitch.conf wants, and what that needs
my @foreign = grep { !m{^\Q$task\E/|/libnss_|/libcap\.} } sort keys %mapped;

cmp_ok(keys %mapped, '>', 10, 'it has libraries');
is_deeply(\@foreign, [], 'all of them its own');
like(VaultNginx::read_file("$task/etc/nginx/nginx.conf"),
     qr/^env SSL_CERT_FILE;$/m, 'and authorities of its own');

kill 'TERM', $pid;
waitpid $pid, 0;
is($?, 0, 'it ends when it is told to');
unlike(VaultNginx::read_file("$dir/log"), qr/\[(?:alert|emerg|crit|error)\]/,
       'without a complaint');
undef $pid;

# What is no image

my $said = `'$ROOT/aws/zip' /dev/null '$dir/none.zip' 2>&1`;
like($said, qr/make image-lambda/, 'without an image it says what makes one');
ok(!-e "$dir/none.zip", 'and leaves nothing');

done_testing();
