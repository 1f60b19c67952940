// An app under load: one of three operations, over and over for some seconds. Prints JSON.
import { createHash } from "node:crypto";
import { Agent, request } from "node:http";

const task = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: task.connections });
const verifier = "v".repeat(43);
const authorizeQuery = new URLSearchParams({
  client_id: task.clientId,
  redirect_uri: task.callback,
  response_type: "code",
  scope: "openid profile email",
  state: "s",
  nonce: "n",
  code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  code_challenge_method: "S256",
}).toString();

function call(method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const host = `localhost:${task.port}`;
    const options = { method, path, headers: { ...headers, host }, port: task.port, host: "127.0.0.1", agent };
    const sent = request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ response, text: Buffer.concat(chunks).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function askForTokens(params, expected) {
  const body = new URLSearchParams({ client_id: task.clientId, client_secret: task.clientSecret, ...params }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded", "content-length": Buffer.byteLength(body) };
  return read(await call("POST", task.token, headers, body), expected);
}

// What an answer says, which must be 200 and have this member.
function read({ response, text }, expected) {
  const answer = response.statusCode === 200 ? JSON.parse(text) : {};
  if (!answer[expected]) throw new Error(`no ${expected}: ${response.statusCode} ${text.slice(0, 300)}`);
  return answer;
}

// A login: /authorize with a live session, then the code for tokens.
async function exchange() {
  const { response, text } = await call("GET", `${task.authorize}?${authorizeQuery}`, { cookie: task.cookie });
  const code = new URL(response.headers.location ?? "about:blank").searchParams.get("code");
  if (!code) throw new Error(`no code: ${response.statusCode} ${response.headers.location} ${text.slice(0, 300)}`);
  const params = { grant_type: "authorization_code", redirect_uri: task.callback, code, code_verifier: verifier };
  return askForTokens(params, "id_token");
}

async function machineToken() {
  const params = { grant_type: "client_credentials", audience: task.audience, scope: "read:orders" };
  await askForTokens(params, "access_token");
}

let authorization;

async function signIn() {
  const { access_token: token } = await exchange();
  authorization = `Bearer ${token}`;
}

async function userinfo() {
  read(await call("GET", task.userinfo, { authorization }), "email");
}

const [prepare, operate] = {
  exchange: [async () => {}, exchange],
  machineToken: [async () => {}, machineToken],
  userinfo: [signIn, userinfo],
}[task.operation];
await prepare();
const started = performance.now();
const until = started + task.seconds * 1000;
let count = 0;
async function loop() {
  while (performance.now() < until) {
    await operate();
    count += 1;
  }
}
await Promise.all(Array.from({ length: task.connections }, loop));
console.log(JSON.stringify({ count, seconds: (performance.now() - started) / 1000 }));
process.exit(0);
