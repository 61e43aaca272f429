// A client that leaves in the middle of requests, over HTTP/2 and HTTP/1.1:
//
//   leave.mjs URL EMAIL PASSWORD TIMES PLAIN
//
// PLAIN is a port without TLS, where a connection can be reset.  The name of
// each item that it tries to make says how it left.  stdout: JSON with the
// number of attempts and the names that are there afterwards.

import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

import { Client } from './client.mjs';


const [url, email, password, times, plain] = process.argv.slice(2);
const client = new Client(url, email);
const { hostname, port } = new URL(url);
const pause = ms => new Promise(done => setTimeout(done, ms));

await client.login(password);


function body(how) {
    return JSON.stringify(client.item(how, {
        notes: client.seal('x'.repeat(Math.random() < 0.5 ? 100 : 60000)),
    }));
}


// part: how much of the body is sent; wait: ms until it leaves
async function leaveHttp2(how, part, wait) {
    const session = http2.connect(url);
    session.on('error', () => {});

    const text = body(how);
    const stream = session.request({
        ':method': 'POST', ':path': '/api/ciphers',
        authorization: `Bearer ${client.token}`,
        'content-type': 'application/json',
        'content-length': text.length,
    });

    stream.on('error', () => {});
    stream.write(text.slice(0, text.length * part));
    if (part === 1) {
        stream.end();
    }

    await pause(wait);

    if (how.includes('stream')) {
        stream.close(http2.constants.NGHTTP2_CANCEL);
        await pause(5);
    }

    session.destroy();
}


async function leaveHttp1(how, part, wait) {
    const text = body(how);
    const reset = how.includes('reset');
    const socket = reset
        ? net.connect({ host: '127.0.0.1', port: plain })
        : tls.connect({ host: hostname, port, servername: hostname });

    socket.on('error', () => {});
    socket.write(`POST /api/ciphers HTTP/1.1\r\nHost: ${hostname}\r\n`
                 + `Authorization: Bearer ${client.token}\r\n`
                 + 'Content-Type: application/json\r\n'
                 + `Content-Length: ${text.length}\r\n\r\n`
                 + text.slice(0, text.length * part));

    await pause(30 + wait);

    if (reset) {
        socket.resetAndDestroy();
    } else {
        socket.destroy();
    }
}


const ways = [
    () => leaveHttp2('half stream', 0.5, 5 + Math.random() * 20),
    () => leaveHttp2('half session', 0.5, 5 + Math.random() * 20),
    () => leaveHttp2('whole stream', 1, 15 + Math.random() * 30),
    () => leaveHttp2('whole session', 1, 15 + Math.random() * 30),
    () => leaveHttp1('half close', 0.5, Math.random() * 20),
    () => leaveHttp1('half reset', 0.5, Math.random() * 20),
    () => leaveHttp1('whole close', 1, Math.random() * 20),
    () => leaveHttp1('whole reset', 1, Math.random() * 20),
];

let tried = 0;

for (let i = 0; i < Number(times); i += ways.length) {
    await Promise.all(ways.map(way => { tried++; return way(); }));
}

await pause(300);
const sync = await client.get('/api/sync?excludeDomains=true');
const names = sync.ciphers.map(({ name, notes }) => {
    client.open(notes);               // throws if it was cut off
    return client.open(name);
});

console.log(JSON.stringify({ tried, names }));
