// An OpenID provider on loopback: the npm package oidc-provider with a sign-in page of one field, JWTs of any claims, and
// faults on demand. It asks for no password and keeps everything in memory.
//
// Its one argument is JSON: {"redirect_uris": […], "auto_login": NAME or null}. It prints a line of JSON when it is ready.
import crypto from 'node:crypto';
import http from 'node:http';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const CLIENT = { id: 'vault', secret: 'vault-secret' };
const ACCOUNTS = {
  alice: { name: 'Alice', email: 'alice@example.test', groups: ['dev', 'ops'] },
  bob: { name: 'Bob', email: 'bob@example.test', groups: [] },
};
// The user of this name cancels instead of signing in.
const DENY = '!deny';
const KID = 'published';
const MINUTES = 60;

const published = await generateKeyPair('RS256', { extractable: true });
// Signs what is forged; nobody is shown its public half.
const unknown = await generateKeyPair('RS256');

// A client must not meet a connection that is being closed because it was idle.
const server = http.createServer({ keepAliveTimeout: 0 });
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `http://127.0.0.1:${server.address().port}`;

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const provider = new Provider(issuer, {
  clients: [
    {
      // The port of a loopback redirect URI does not count for a native client (RFC 8252, section 7.3).
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      application_type: 'native',
      grant_types: ['authorization_code', DEVICE],
      response_types: ['code'],
      redirect_uris: ['http://localhost:8250/oidc/callback', 'http://127.0.0.1:8250/oidc/callback'],
    },
    {
      // Those of a web client match to the letter.
      client_id: `${CLIENT.id}-web`,
      client_secret: CLIENT.secret,
      application_type: 'web',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: settings.redirect_uris.length ? settings.redirect_uris : ['https://nowhere.example.test/'],
    },
  ],
  jwks: { keys: [{ ...(await exportJWK(published.privateKey)), kid: KID, alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
  // The ID token has the claims of the scopes too, not the answer of /me alone.
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], email: ['email'], groups: ['groups'], profile: ['name'] },
  scopes: ['openid', 'email', 'groups', 'profile'],
  pkce: { required: () => false },
  features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true }, userinfo: { enabled: true } },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  ttl: {
    AccessToken: 5 * MINUTES, AuthorizationCode: MINUTES, DeviceCode: 10 * MINUTES, Grant: 10 * MINUTES,
    IdToken: 5 * MINUTES, Interaction: 10 * MINUTES, Session: 10 * MINUTES,
  },
  findAccount: (_context, sub) => ACCOUNTS[sub] && { accountId: sub, claims: () => ({ sub, ...ACCOUNTS[sub] }) },
});

function send(response, status, body, type = 'application/json') {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

// What a sign-in comes to: a session with a grant of all that was asked for, or a refusal.
async function outcome(parameters, name) {
  if (name === DENY) return { error: 'access_denied', error_description: 'the user has cancelled' };
  const grant = new provider.Grant({ accountId: name, clientId: parameters.client_id });
  grant.addOIDCScope(parameters.scope ?? 'openid');
  return { login: { accountId: name }, consent: { grantId: await grant.save() } };
}

const SIGN_IN = `<!doctype html>
<title>Sign in</title>
<form method="post"><input name="login" autofocus><button>Sign in</button></form>
<form method="post"><input type="hidden" name="login" value="${DENY}"><button>Cancel</button></form>
`;

async function interaction(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const posted = request.method === 'POST' ? new URLSearchParams(await read(request)).get('login') : undefined;
  const name = posted ?? (params.login_hint || settings.auto_login);
  if (!name) return send(response, 200, SIGN_IN, 'text/html');
  if (name !== DENY && !ACCOUNTS[name]) return send(response, 400, 'no such account', 'text/plain');
  const result = await outcome(params, name);
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

// A JWT of the provider: {"claims": {…}, "kid": TEXT or null, "forged": BOOLEAN}. A claim that is null is left out.
async function mint({ claims, kid, forged }) {
  const now = Math.floor(Date.now() / 1000);
  const usual = { iss: issuer, sub: 'ci', aud: CLIENT.id, iat: now, nbf: now, exp: now + 5 * MINUTES };
  const present = Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== null);
  const header = { alg: 'RS256', typ: 'JWT', kid: kid ?? KID };
  const jwt = new SignJWT(Object.fromEntries(present)).setProtectedHeader(header);
  return jwt.sign(forged ? unknown.privateKey : published.privateKey);
}

// By path: {"status", "body", "delay_ms", "hang", "times"}, each of them or null.
const faults = new Map();
const hits = new Map();

// True where the fault has answered, or never will.
async function faulty(path, response) {
  const fault = faults.get(path);
  if (!fault || fault.times === 0) return false;
  if (fault.times) fault.times -= 1;
  if (fault.delay_ms) await new Promise((resolve) => { setTimeout(resolve, fault.delay_ms); });
  if (fault.status) send(response, fault.status, fault.body ?? '');
  return Boolean(fault.hang || fault.status);
}

// What only the tests ask for.
async function door(name, request, response) {
  const asked = JSON.parse(await read(request));
  if (name === 'mint') return send(response, 200, JSON.stringify({ jwt: await mint(asked) }));
  if (name === 'fault') faults.set(asked.path, asked);
  if (name === 'clear') faults.clear();
  return send(response, 200, JSON.stringify({ hits: hits.get(asked.path) ?? 0 }));
}

const answer = provider.callback();

async function serve(request, response) {
  const { pathname } = new URL(request.url, issuer);
  const [, first, second] = pathname.split('/');
  if (first === '-') return door(second, request, response);
  hits.set(pathname, (hits.get(pathname) ?? 0) + 1);
  if (await faulty(pathname, response)) return undefined;
  return first === 'interaction' ? interaction(request, response) : answer(request, response);
}

server.on('request', (request, response) => {
  serve(request, response).catch((error) => { if (!response.headersSent) send(response, 500, error.message); });
});
console.log(JSON.stringify({ issuer, client_id: CLIENT.id, client_secret: CLIENT.secret }));
