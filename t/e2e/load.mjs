// Writes without pause until SIGTERM, then checks that everything that was
// acknowledged is there:
//
//   load.mjs URL EMAIL PASSWORD WRITERS
//
// stdout: a line "writing" after the first acknowledged write; at the end JSON:
// how many writes were acknowledged and failed, and lists of what is wrong.

import { Client, Refused } from './client.mjs';


const [url, email, password, writers] = process.argv.slice(2);
const client = new Client(url, email);
const pause = ms => new Promise(done => setTimeout(done, ms));

// What the server has promised: id -> number in the name, or "gone".
const promised = new Map();
const count = { acknowledged: 0, failed: 0, refused: {} };
let stopping = false;


// One write.  A failure says nothing about whether it happened.
async function attempt(write) {
    try {
        const answer = await write();

        if (count.acknowledged++ === 0) {
            console.log('writing');
        }

        return answer ?? true;

    } catch (e) {
        count.failed++;

        if (e instanceof Refused) {
            count.refused[e.status] = (count.refused[e.status] ?? 0) + 1;
        }

        await pause(10);
        return null;
    }
}


async function writer() {
    while (!stopping) {
        const made = await attempt(
            () => client.post('/api/ciphers', client.item('0')));

        if (!made) {
            continue;
        }

        promised.set(made.id, { at_least: 0, at_most: 0 });

        for (let n = 1; n < 4 && !stopping; n++) {
            const state = promised.get(made.id);
            state.at_most = n;

            if (await attempt(() => client.put(`/api/ciphers/${made.id}`,
                                               client.item(`${n}`))))
            {
                state.at_least = n;
            }
        }

        if (Math.random() < 0.25 && !stopping) {
            const state = promised.get(made.id);
            state.maybe_gone = true;

            if (await attempt(() => client.delete(`/api/ciphers/${made.id}`)))
            {
                state.gone = true;
            }
        }
    }
}


async function patiently(read) {
    for (let i = 0; ; i++) {
        try {
            return await read();
        } catch (e) {
            if (i === 100) {
                throw e;
            }
            await pause(100);
        }
    }
}


async function verdict() {
    const sync = await patiently(
        () => client.get('/api/sync?excludeDomains=true'));
    const there = new Map(sync.ciphers.map(
        ({ id, name }) => [id, Number(client.open(name))]));
    const wrong = { lost: [], stale: [], risen: [] };

    for (const [id, state] of promised) {
        const n = there.get(id);

        if (n === undefined) {
            if (!state.maybe_gone) {
                wrong.lost.push(id);
            }
        } else if (state.gone) {
            wrong.risen.push(id);
        } else if (n < state.at_least || n > state.at_most) {
            wrong.stale.push(id);
        }
    }

    return { ...count, items: there.size, promised: promised.size, ...wrong };
}


process.on('SIGTERM', () => { stopping = true; });

await client.login(password);
await Promise.all(Array.from({ length: Number(writers) }, writer));
console.log(JSON.stringify(await verdict()));
