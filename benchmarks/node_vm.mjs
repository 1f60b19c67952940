// One rule in a fresh vm context, over and over, as a service that runs untrusted rules in Node would: JSON in, JSON out.
// Each line of stdin is a number of seconds (answered by rules and milliseconds of each), or "memory N".
import { createInterface } from "node:readline";
import vm from "node:vm";

const { script, user, context } = JSON.parse(process.argv[2]);
const given = JSON.stringify({ user, context });
const run = `(function (given) {
  const { user, context } = JSON.parse(given);
  let answer;
  (${script})(user, context, (error, user, context) => { answer = JSON.stringify({ error, user, context }); });
  return answer;
})`;

function once() {
  const realm = vm.createContext({ configuration: { REGION: "EU" } });
  const answer = vm.runInContext(run, realm, { timeout: 2000 })(given);
  if (JSON.parse(answer).context.idToken["https://shop.example/roles"][0] !== "member") throw new Error(answer);
  return realm;
}

function during(seconds) {
  const times = [];
  const begun = performance.now();
  while (performance.now() - begun < seconds * 1000) {
    const started = performance.now();
    once();
    times.push(performance.now() - started);
  }
  return times;
}

function memory(count) {
  globalThis.gc();
  const before = process.memoryUsage().rss;
  const realms = Array.from({ length: count }, once);
  return { bytes: (process.memoryUsage().rss - before) / realms.length };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [word, count] = line.split(" ");
  console.log(JSON.stringify(word === "memory" ? memory(Number(count)) : { times: during(Number(word)) }));
}
