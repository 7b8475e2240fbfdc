// npm oidc-provider, a certified OpenID Provider, for tests: on 127.0.0.1:PORT, known to the world as ISSUER.
// Any password is right; the login name picks the account. Settings, all from the environment:
//   PORT, ISSUER, REDIRECTS and POST_LOGOUT (comma separated), BACKCHANNEL (URI), USERS (JSON: name -> claims),
//   CLIENTS (JSON, added to the ones below), ID_TOKEN_CLAIMS=0 (e-mail, name and groups only at UserInfo),
//   ACCESS_TTL, ID_TTL, REFRESH_TTL, SESSION_TTL (seconds), ROTATE=0 (refresh tokens are not rotated),
//   RESOURCES (comma separated addresses for which there are access tokens, RFC 8707) with the scopes SCOPES
// Clients: gateway (client_secret_basic), gateway-post (client_secret_post), gateway-public (none); the secret of each is SECRET.
// For APIs: machine and machine-opaque (client_credentials; JWTs, and opaque tokens), introspector; anybody may register one.
// GET /tests/access-token (resource, scope, client_id, user) gives a user's access token without a login.
URL.parse ??= (url, base) => { try { return new URL(url, base) } catch { return null } } // Node 20 lacks it
const { createRequire } = await import('node:module')
const { pathToFileURL } = await import('node:url')
const { createServer } = await import('node:http')
const from = createRequire(process.cwd() + '/') // node_modules of the working directory, wherever this file is
const { Provider, errors } = await import(pathToFileURL(from.resolve('oidc-provider')))

const env = (key, otherwise) => process.env[key] ?? otherwise
const PORT = +env('PORT', 9000)
const ISSUER = env('ISSUER', `http://127.0.0.1:${PORT}`)
const SECRET = env('SECRET', 'gateway-secret-gateway-secret-32ch')
const SCOPES = env('SCOPES', 'orders:read orders:write')
const USERS = JSON.parse(env('USERS', JSON.stringify({
  alice: { email: 'alice@example.test', email_verified: true, name: 'Alice Example', groups: ['admins', 'dev'] },
  bob: { email: 'bob@example.test', email_verified: true, name: 'Bob Example', groups: ['dev'] },
  carol: { email: 'carol@example.test', email_verified: false, name: 'Çarol 世界', groups: [] },
})))
const list = (text) => text.split(',').filter(Boolean)
const client = {
  grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  redirect_uris: list(env('REDIRECTS', 'http://localhost:8080/oauth2/callback')),
  post_logout_redirect_uris: list(env('POST_LOGOUT', 'http://localhost:8080/')),
  ...(env('BACKCHANNEL') ? { backchannel_logout_uri: env('BACKCHANNEL'), backchannel_logout_session_required: true } : {}),
}
const machine = (client_id, ...grant_types) => ({ client_id, client_secret: SECRET, grant_types, response_types: [], redirect_uris: [] })
const aboutUser = ({ email, email_verified, name, groups }) => ({ email, email_verified, name, groups })
const resourceServer = (resource, client) => {
  if (!list(env('RESOURCES', '')).includes(resource)) throw new errors.InvalidTarget('unknown resource')
  const accessTokenFormat = client.clientId.endsWith('-opaque') ? 'opaque' : 'jwt'
  return { audience: resource, scope: SCOPES, accessTokenFormat, accessTokenTTL: +env('ACCESS_TTL', 300) }
}

const provider = new Provider(ISSUER, {
  clients: [
    { ...client, client_id: 'gateway', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' },
    { ...client, client_id: 'gateway-post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' },
    { ...client, client_id: 'gateway-public', token_endpoint_auth_method: 'none' },
    machine('machine', 'client_credentials'), machine('machine-opaque', 'client_credentials'), machine('introspector'),
    ...JSON.parse(env('CLIENTS', '[]')).map((more) => ({ ...client, ...more })),
  ],
  cookies: { keys: ['a-key-of-the-tests'] },
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
  conformIdTokenClaims: env('ID_TOKEN_CLAIMS', '1') !== '1',
  findAccount: (_, id) => USERS[id] && { accountId: id, claims: () => ({ sub: id, ...USERS[id] }) },
  issueRefreshToken: (_, who) => who.grantTypeAllowed('refresh_token'), // without offline_access too
  rotateRefreshToken: () => env('ROTATE', '1') === '1',
  // What JWT access tokens, and introspection, say about the user.
  extraTokenClaims: (_, token) => token.aud && USERS[token.accountId] && aboutUser(USERS[token.accountId]),
  ttl: {
    AccessToken: +env('ACCESS_TTL', 300), IdToken: +env('ID_TTL', 300), RefreshToken: +env('REFRESH_TTL', 86400),
    Session: +env('SESSION_TTL', 86400), Grant: 86400, Interaction: 3600,
  },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // its guard refuses back-channel posts to loopback
  features: {
    devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true }, backchannelLogout: { enabled: true },
    revocation: { enabled: true }, introspection: { enabled: true }, clientCredentials: { enabled: true },
    registration: { enabled: true }, resourceIndicators: { enabled: true, getResourceServerInfo: (_, resource, client) => resourceServer(resource, client) },
  },
})
provider.proxy = true // behind Envoy: X-Forwarded-Proto decides between http and https
for (const event of ['server_error', 'grant.error', 'authorization.error', 'backchannel.success', 'backchannel.error'])
  provider.on(event, (...told) => console.log(event, ...told.map((x) => x?.error_detail ?? x?.error_description ?? x?.message ?? x?.clientId).filter(Boolean)))

const accessToken = async (asked) => {
  const client = await provider.Client.find(asked.get('client_id'))
  const server = new provider.ResourceServer(asked.get('resource'), resourceServer(asked.get('resource'), client))
  const accountId = asked.get('user')
  return new provider.AccessToken({ client, accountId, scope: asked.get('scope'), resourceServer: server, extra: aboutUser(USERS[accountId]) }).save()
}
const answer = provider.callback()
const PATH = '/tests/access-token?'
createServer(async (request, response) => {
  if (!request.url.startsWith(PATH)) return answer(request, response)
  try {
    response.end(await accessToken(new URLSearchParams(request.url.slice(PATH.length))))
  } catch (error) { response.writeHead(400).end(String(error)) }
}).listen(PORT, '127.0.0.1', () => console.log(`ready ${ISSUER}`))
