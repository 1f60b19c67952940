// What every app here needs: its task from the command line, https on localhost, and a word when it is ready.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Node 18
export const task = JSON.parse(process.argv[2]);

export function serve(handle) {
  const credentials = { cert: readFileSync(task.certificate), key: readFileSync(task.key) };
  const port = Number(new URL(task.origin).port);
  createServer(credentials, handle).listen(port, "127.0.0.1", () => console.log("ready"));
}

export function sayJson(response, value, status = 200) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}
