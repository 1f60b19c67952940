// An app under load: /authorize with a live session, then the code for tokens, as often as it goes. Prints JSON.
import { Agent, request } from "node:http";

const task = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: task.connections });
const authorizeQuery = new URLSearchParams({
  client_id: task.clientId,
  redirect_uri: task.callback,
  response_type: "code",
  scope: "openid profile email",
  state: "s",
  nonce: "n",
  code_challenge: task.challenge,
  code_challenge_method: "S256",
}).toString();

function call(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const options = { method, path, headers: { ...headers, host: task.host }, port: task.port, host: "127.0.0.1", agent };
    const sent = request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ response, text: Buffer.concat(chunks).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function exchange() {
  const { response, text } = await call("GET", `${task.authorize}?${authorizeQuery}`, { cookie: task.cookie });
  const code = new URL(response.headers.location ?? "about:blank").searchParams.get("code");
  if (!code) throw new Error(`no code: ${response.statusCode} ${response.headers.location} ${text.slice(0, 300)}`);
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: task.clientId,
    client_secret: task.clientSecret,
    redirect_uri: task.callback,
    code,
    code_verifier: task.verifier,
  }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body) };
  const answer = await call("POST", task.token, headers, body);
  if (answer.response.statusCode !== 200 || !JSON.parse(answer.text).id_token) {
    throw new Error(`no tokens: ${answer.response.statusCode} ${answer.text.slice(0, 300)}`);
  }
}

const started = performance.now();
const until = started + task.seconds * 1000;
let count = 0;
async function loop() {
  while (performance.now() < until) {
    await exchange();
    count += 1;
  }
}
await Promise.all(Array.from({ length: task.connections }, loop));
console.log(JSON.stringify({ count, seconds: (performance.now() - started) / 1000 }));
process.exit(0);
