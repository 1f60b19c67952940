// A web app with express-openid-connect as it comes: an ID token by form, and no code.
import { serve, task } from "./serve.mjs";
import express from "express";
import auth0 from "express-openid-connect";

const app = express();
app.use(
  auth0.auth({
    issuerBaseURL: task.issuer,
    baseURL: task.origin,
    clientID: task.clients["express-id-token"].client_id,
    secret: "a secret of this app, long enough",
    authRequired: false,
    auth0Logout: true,
  }),
);
app.get("/", (request, response) => {
  response.json({ signedIn: request.oidc.isAuthenticated(), user: request.oidc.user });
});
app.use((fault, request, response, next) => response.status(500).json({ error: String(fault) }));
serve(app);
