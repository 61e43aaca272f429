// The cryptography of a Bitwarden client: master key, EncString type 2, RSA.
// Written from the published white paper; checked against the real CLI, which
// must be able to decrypt what this makes and the other way round (bw-*.t).

import crypto from 'node:crypto';

import { argon2id } from '@noble/hashes/argon2.js';


export const PBKDF2 = { kdfType: 0, iterations: 600000 };
export const ARGON2 = { kdfType: 1, iterations: 3, memory: 16, parallelism: 2 };


const utf8 = text => Buffer.from(text, 'utf8');
const sha256 = data => crypto.createHash('sha256').update(data).digest();


// The salt is the e-mail address as the server keeps it.
export function saltOf(email) {
    return email.trim().toLowerCase();
}


export function masterKey(password, salt, kdf) {
    if (kdf.kdfType === 0) {
        return crypto.pbkdf2Sync(utf8(password), utf8(salt), kdf.iterations,
                                 32, 'sha256');
    }

    return Buffer.from(argon2id(utf8(password), sha256(utf8(salt)), {
        t: kdf.iterations, m: kdf.memory * 1024, p: kdf.parallelism, dkLen: 32,
    }));
}


// What the server gets to see instead of the password.
export function authenticationHash(password, key) {
    return crypto.pbkdf2Sync(key, utf8(password), 1, 32, 'sha256')
        .toString('base64');
}


// HKDF-Expand with one block: 32 bytes of encryption, 32 of MAC key.
function stretch(key) {
    const expand = info => crypto.createHmac('sha256', key)
        .update(Buffer.concat([utf8(info), Buffer.from([1])])).digest();

    return Buffer.concat([expand('enc'), expand('mac')]);
}


export function seal(data, key) {
    const iv = crypto.randomBytes(16);
    const cipher = crypto.createCipheriv('aes-256-cbc', key.subarray(0, 32),
                                         iv);
    const text = Buffer.concat([cipher.update(data), cipher.final()]);
    const mac = crypto.createHmac('sha256', key.subarray(32))
        .update(iv).update(text).digest();

    return '2.' + [iv, text, mac].map(b => b.toString('base64')).join('|');
}


export function open(sealed, key) {
    const [iv, text, mac] = sealed.slice(2).split('|')
        .map(part => Buffer.from(part, 'base64'));
    const expected = crypto.createHmac('sha256', key.subarray(32))
        .update(iv).update(text).digest();

    if (!sealed.startsWith('2.') || !crypto.timingSafeEqual(mac, expected)) {
        throw new Error('the EncString does not open with this key');
    }

    const cipher = crypto.createDecipheriv('aes-256-cbc', key.subarray(0, 32),
                                           iv);
    return Buffer.concat([cipher.update(text), cipher.final()]);
}


export const newUserKey = () => crypto.randomBytes(64);
export const wrapUserKey = (userKey, key) => seal(userKey, stretch(key));
export const unwrapUserKey = (sealed, key) => open(sealed, stretch(key));


export function newKeyPair(userKey) {
    const pair = crypto.generateKeyPairSync('rsa', {
        modulusLength: 2048,
        publicKeyEncoding: { type: 'spki', format: 'der' },
        privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });

    return {
        publicKey: pair.publicKey.toString('base64'),
        encryptedPrivateKey: seal(pair.privateKey, userKey),
    };
}
