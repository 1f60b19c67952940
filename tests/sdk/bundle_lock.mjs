// Lock ships modules and no file for browsers: bundle them here without changes.
import { build } from "esbuild";

const auth0js = "./node_modules/auth0-lock/node_modules/auth0-js/dist";
const names = "Auth0Lock, Auth0LockPasswordless";
await build({
  stdin: { contents: `import { ${names} } from "auth0-lock"; Object.assign(window, { ${names} });`, resolveDir: "." },
  bundle: true,
  alias: { "auth0-js/dist": auth0js, "auth0-js": `${auth0js}/auth0.min.esm.js` },
  define: { "process.env.NODE_ENV": '"production"', global: "window" },
  outfile: process.argv[2],
  logLevel: "error",
});
