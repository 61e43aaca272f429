// What tests need of an account beyond the bw command, a verb a call:
//
//   account.mjs URL EMAIL PASSWORD register [new|old|legacy] [argon2]
//   account.mjs URL EMAIL PASSWORD api-key
//   account.mjs URL EMAIL PASSWORD password NEW [new|old]
//   account.mjs URL EMAIL PASSWORD kdf pbkdf2|argon2
//   account.mjs URL EMAIL PASSWORD rotate
//   account.mjs URL EMAIL PASSWORD call METHOD PATH [JSON]
//   account.mjs URL EMAIL PASSWORD prove METHOD PATH [JSON]   with its hash
//   account.mjs URL EMAIL PASSWORD anonymous METHOD PATH [JSON]
//   account.mjs URL EMAIL PASSWORD names          of all items, decrypted
//
// The result is JSON on stdout; a refusal {"status":…,"body":…}, exit 1.

import { Client, Refused } from './client.mjs';
import { ARGON2, PBKDF2 } from './crypto.mjs';


const [url, email, password, verb, ...args] = process.argv.slice(2);
const client = new Client(url, email);
const kdf = name => name === 'argon2' ? ARGON2 : PBKDF2;
const json = text => text === undefined ? undefined : JSON.parse(text);

const verbs = {
    async 'api-key'() {
        return client.apiKey();
    },

    async password([next, form]) {
        return client.changePassword(next, form);
    },

    async kdf([name]) {
        return client.changeKdf(password, kdf(name));
    },

    async rotate() {
        return client.rotate(password);
    },

    async call([method, path, body]) {
        return client.send(method, path, json(body));
    },

    async prove([method, path, body]) {
        return client.send(method, path, {
            masterPasswordHash: client.hash, ...json(body),
        });
    },

    async names() {
        const sync = await client.get('/api/sync?excludeDomains=true');
        return sync.ciphers.map(
            ({ name }) => client.open(name)).sort();
    },
};


async function run() {
    switch (verb) {
    case 'register':
        return client.register(password, args[0], kdf(args[1]));

    case 'anonymous':
        return client.send(args[0], args[1], json(args[2]));

    default:
        await client.login(password);
        return verbs[verb](args);
    }
}


try {
    console.log(JSON.stringify(await run() ?? null));

} catch (e) {
    if (!(e instanceof Refused)) {
        throw e;
    }

    console.log(JSON.stringify({ status: e.status, body: e.body }));
    process.exitCode = 1;
}
