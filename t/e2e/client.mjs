// A client that can do what the bw command cannot: register, change the
// password, the KDF and the keys, and send many requests at once.

import crypto from 'node:crypto';

import * as c from './crypto.mjs';


// An answer that is not 2xx, with what the server said.
export class Refused extends Error {
    constructor(method, path, status, body) {
        super(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
        this.status = status;
        this.body = body;
    }
}


export class Client {
    constructor(url, email) {
        this.url = url;
        this.email = email;
        this.device = crypto.randomUUID();
        this.headers = {
            'Bitwarden-Client-Name': 'web',
            'Bitwarden-Client-Version': '2026.9.0',
            'Device-Type': '9',
            Accept: 'application/json',
        };
    }


    async send(method, path, body, headers = {}) {
        const form = body instanceof URLSearchParams;
        const answer = await fetch(this.url + path, {
            method,
            headers: {
                ...this.headers,
                ...(this.token && { Authorization: `Bearer ${this.token}` }),
                ...(body !== undefined && !form
                    && { 'Content-Type': 'application/json; charset=utf-8' }),
                ...headers,
            },
            body: body === undefined || form ? body : JSON.stringify(body),
            signal: AbortSignal.timeout(60000),
        });

        const text = await answer.text();
        const type = answer.headers.get('content-type') || '';
        const value = type.includes('application/json') && text
            ? JSON.parse(text) : text;

        if (!answer.ok) {
            throw new Refused(method, path, answer.status, value);
        }

        return value;
    }

    get(path) { return this.send('GET', path); }
    post(path, body) { return this.send('POST', path, body); }
    put(path, body) { return this.send('PUT', path, body); }
    delete(path, body) { return this.send('DELETE', path, body); }


    // Everything that follows from a password; keeps none of it.
    secrets(password, kdf, userKey) {
        const salt = c.saltOf(this.email);
        const key = c.masterKey(password, salt, kdf);

        return {
            salt,
            hash: c.authenticationHash(password, key),
            wrapped: userKey && c.wrapUserKey(userKey, key),
            key,
        };
    }


    // form: "new" (web, desktop 2026), "old" (Android) or "legacy" (no mail
    // verification, one call).
    async register(password, form = 'new', kdf = c.PBKDF2) {
        const userKey = c.newUserKey();
        const s = this.secrets(password, kdf, userKey);
        const keys = c.newKeyPair(userKey);
        const flat = {
            kdf: kdf.kdfType,
            kdfIterations: kdf.iterations,
            kdfMemory: kdf.memory ?? null,
            kdfParallelism: kdf.parallelism ?? null,
        };

        this.userKey = userKey;

        if (form === 'legacy') {
            return this.post('/identity/accounts/register', {
                email: this.email, name: 'Alice', masterPasswordHash: s.hash,
                masterPasswordHint: null, key: s.wrapped, keys, ...flat,
            });
        }

        const token = await this.post(
            '/identity/accounts/register/send-verification-email',
            { email: this.email, name: 'Alice',
              receiveMarketingEmails: false });

        if (typeof token !== 'string' || token === '') {
            throw new Error('no token: the server wants to send mail');
        }

        await this.post(
            '/identity/accounts/register/verification-email-clicked',
            { email: this.email, emailVerificationToken: token });

        return this.post('/identity/accounts/register/finish', {
            email: this.email,
            emailVerificationToken: token,
            masterPasswordHint: '',
            userAsymmetricKeys: keys,
            ...(form === 'old'
                ? { masterPasswordHash: s.hash, userSymmetricKey: s.wrapped,
                    ...flat }
                : { masterPasswordAuthentication: {
                        kdf, salt: s.salt,
                        masterPasswordAuthenticationHash: s.hash,
                    },
                    masterPasswordUnlock: {
                        kdf, salt: s.salt,
                        masterKeyWrappedUserKey: s.wrapped,
                    } }),
        });
    }


    async prelogin() {
        const answer = await this.post(
            '/identity/accounts/prelogin/password', { email: this.email });
        const k = answer.kdfSettings;

        return k.kdfType === 0
            ? { kdfType: 0, iterations: k.iterations }
            : { kdfType: 1, iterations: k.iterations, memory: k.memory,
                parallelism: k.parallelism };
    }


    async login(password) {
        const kdf = await this.prelogin();
        const s = this.secrets(password, kdf);

        delete this.token;
        const answer = await this.send('POST', '/identity/connect/token',
            new URLSearchParams({
                scope: 'api offline_access', client_id: 'web',
                grant_type: 'password', username: this.email,
                password: s.hash, deviceType: '9', deviceName: 'chrome',
                deviceIdentifier: this.device,
            }));

        this.token = answer.access_token;
        this.refreshToken = answer.refresh_token;
        this.kdf = kdf;
        this.hash = s.hash;
        this.userKey = c.unwrapUserKey(answer.Key, s.key);

        return answer;
    }


    async refresh() {
        const answer = await this.send('POST', '/identity/connect/token',
            new URLSearchParams({
                grant_type: 'refresh_token', client_id: 'web',
                refresh_token: this.refreshToken,
            }));

        this.token = answer.access_token;
        this.refreshToken = answer.refresh_token;
    }


    // What password and KDF changes say twice: flat for servers of old, as
    // two objects for new ones.
    change(password, kdf) {
        const s = this.secrets(password, kdf, this.userKey);

        return {
            masterPasswordHash: this.hash,
            newMasterPasswordHash: s.hash,
            key: s.wrapped,
            authenticationData: {
                kdf, salt: s.salt, masterPasswordAuthenticationHash: s.hash,
            },
            unlockData: {
                kdf, salt: s.salt, masterKeyWrappedUserKey: s.wrapped,
            },
        };
    }


    async changePassword(password, form = 'new') {
        const { authenticationData, unlockData, ...old } =
            this.change(password, this.kdf);
        const body = form === 'old' ? old
            : { ...old, authenticationData, unlockData };

        await this.post('/api/accounts/password',
                        { ...body, masterPasswordHint: null });
        delete this.token;
    }


    async changeKdf(password, kdf) {
        await this.post('/api/accounts/kdf', {
            ...this.change(password, kdf),
            kdf: kdf.kdfType, kdfIterations: kdf.iterations,
            kdfMemory: kdf.memory ?? null,
            kdfParallelism: kdf.parallelism ?? null,
        });
        delete this.token;
    }


    async apiKey() {
        const me = await this.get('/api/accounts/profile');
        const key = await this.post('/api/accounts/api-key',
                                    { masterPasswordHash: this.hash });

        return { clientId: `user.${me.id}`, clientSecret: key.apiKey };
    }


    // A new user key: the whole vault encrypted anew, in one request.
    async rotate(password) {
        const sync = await this.get('/api/sync?excludeDomains=true');
        const { publicKey, wrappedPrivateKey } =
            sync.profile.accountKeys.publicKeyEncryptionKeyPair;
        const old = this.userKey;
        const fresh = c.newUserKey();
        const again = text => c.seal(c.open(text, old), fresh);

        // An item with a key of its own is encrypted by that.
        const reseal = value =>
            typeof value === 'string' && value.startsWith('2.') ? again(value)
                : Array.isArray(value) ? value.map(reseal)
                    : value && typeof value === 'object'
                        ? Object.fromEntries(Object.entries(value).map(
                            ([name, v]) => [name, reseal(v)]))
                        : value;
        const cipher = ({ encryptedByKeyId, attachments, ...item }) => {
            const mine = item.key ? text => text : again;
            const files = Object.fromEntries((attachments ?? []).map(
                file => [file.id, { fileName: mine(file.fileName),
                                    key: file.key && mine(file.key) }]));

            return {
                ...(item.key ? { ...item, key: again(item.key) }
                    : reseal(item)),
                attachments: Object.fromEntries(Object.entries(files).map(
                    ([id, { fileName }]) => [id, fileName])),
                attachments2: files,
            };
        };

        // What a Send holds is encrypted by a key of its own.
        const send = ({ key, ...rest }) => ({
            ...rest, key: again(key), password: null,
        });

        this.userKey = fresh;
        const s = this.secrets(password, this.kdf, fresh);
        const privateKey = again(wrappedPrivateKey);

        await this.post(
            '/api/accounts/key-management/rotate-user-account-keys', {
                oldMasterKeyAuthenticationHash: this.hash,
                accountKeys: {
                    userKeyEncryptedAccountPrivateKey: privateKey,
                    accountPublicKey: publicKey,
                },
                accountUnlockData: {
                    masterPasswordUnlockData: {
                        email: this.email,
                        kdfType: this.kdf.kdfType,
                        kdfIterations: this.kdf.iterations,
                        kdfMemory: this.kdf.memory ?? null,
                        kdfParallelism: this.kdf.parallelism ?? null,
                        masterKeyAuthenticationHash: s.hash,
                        masterKeyEncryptedUserKey: s.wrapped,
                        masterPasswordHint: null,
                    },
                    emergencyAccessUnlockData: [],
                    organizationAccountRecoveryUnlockData: [],
                    passkeyUnlockData: [],
                    deviceKeyUnlockData: [],
                },
                accountData: {
                    ciphers: sync.ciphers.map(cipher),
                    folders: sync.folders.map(
                        ({ id, name }) => ({ id, name: again(name) })),
                    sends: sync.sends.map(send),
                },
            });
        delete this.token;
    }


    seal(text) {
        return c.seal(Buffer.from(text, 'utf8'), this.userKey);
    }


    open(sealed) {
        return c.open(sealed, this.userKey).toString('utf8');
    }


    // A login item, encrypted.
    item(name, more = {}) {
        return {
            type: 1, name: this.seal(name), notes: null, favorite: false,
            reprompt: 0, folderId: null, organizationId: null,
            login: {
                username: this.seal('alice'), password: this.seal(name),
                totp: null, uris: null,
            },
            ...more,
        };
    }
}
