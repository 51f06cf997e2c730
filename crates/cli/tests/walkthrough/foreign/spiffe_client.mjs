// A program that knows SPIFFE by grpc-js, the service's description and jose alone: no word of Chancery.
//
// node spiffe_client.mjs NPM PROTO: fetches, validates and waits until all kinds of SVIDs have rotated.
import assert from "node:assert/strict";
import { createHash, createPrivateKey, randomUUID, X509Certificate } from "node:crypto";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [npm, proto] = process.argv.slice(2);
const require = createRequire(`${npm}/node_modules/`);
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const { SignJWT, decodeProtectedHeader, importJWK, jwtVerify } = await import(
  pathToFileURL(`${npm}/node_modules/jose/dist/webapi/index.js`)
);

const AUDIENCE = "reports";
const described = grpc.loadPackageDefinition(loader.loadSync(proto, { keepCase: true }));
const client = new described.SpiffeWorkloadAPI(
  process.env.SPIFFE_ENDPOINT_SOCKET,
  grpc.credentials.createInsecure(),
);

function header() {
  const metadata = new grpc.Metadata();
  metadata.set("workload.spiffe.io", "true");
  return metadata;
}

const call = (method, request, metadata = header()) =>
  new Promise((done, failed) =>
    client[method](request, metadata, (error, answer) => (error ? failed(error) : done(answer))),
  );

const messages = (method, metadata = header()) => client[method]({}, metadata)[Symbol.asyncIterator]();

const refused = (work, code) => assert.rejects(work, (error) => error.code === code);

// Certificates in DER, one behind the other.
function certificates(der) {
  const found = [];
  for (let rest = der; rest.length > 0; ) {
    const bytes = rest[1] < 128 ? 0 : rest[1] & 127;
    const length = bytes === 0 ? rest[1] : rest.readUIntBE(2, bytes);
    const end = 2 + bytes + length;
    found.push(new X509Certificate(rest.subarray(0, end)));
    rest = rest.subarray(end);
  }
  return found;
}

function validated(svid) {
  const chain = certificates(svid.x509_svid);
  const roots = certificates(svid.bundle);
  const path = [...chain, roots.find((root) => chain.at(-1).checkIssued(root))];
  for (let place = 0; place < chain.length; place += 1) {
    assert(path[place].checkIssued(path[place + 1]) && path[place].verify(path[place + 1].publicKey));
  }
  assert.equal(chain[0].subjectAltName, `URI:${svid.spiffe_id}`);
  const key = createPrivateKey({ key: svid.x509_svid_key, format: "der", type: "pkcs8" });
  assert(chain[0].checkPrivateKey(key));
  return chain[0];
}

async function token(id, keys) {
  const answer = await call("FetchJWTSVID", { audience: [AUDIENCE] });
  const [svid] = answer.svids;
  assert.equal(svid.spiffe_id, id);
  const { kid, alg } = decodeProtectedHeader(svid.svid);
  const key = await importJWK(keys.find((known) => known.kid === kid), alg);
  const { payload } = await jwtVerify(svid.svid, key, { audience: AUDIENCE, algorithms: ["ES256"] });
  assert.equal(payload.sub, id);
  await assert.rejects(jwtVerify(svid.svid, key, { audience: "accounts" }));
  const judged = await call("ValidateJWTSVID", { audience: AUDIENCE, svid: svid.svid });
  assert.equal(judged.spiffe_id, id);
  return svid.svid;
}

// A workload identity token with the proof that its holder makes of one request (WIMSE), as who is asked
// judges both by the bundle alone.
async function proven(svid, domain) {
  const bundle = JSON.parse((await messages("FetchWITBundles").next()).value.bundles[domain]);
  assert.equal(new Set(bundle.keys.map((key) => key.kid)).size, bundle.keys.length);
  const privateKey = await importJWK(JSON.parse(svid.wit_svid_key));
  const wth = createHash("sha256").update(svid.wit_svid).digest("base64url");
  const proof = await new SignJWT({ jti: randomUUID(), wth })
    .setProtectedHeader({ alg: "ES256", typ: "wpt+jwt" })
    .setAudience("https://tools.example/list")
    .setExpirationTime("1m")
    .sign(privateKey);
  const { kid } = decodeProtectedHeader(svid.wit_svid);
  const authority = await importJWK(bundle.keys.find((known) => known.kid === kid), "ES256");
  const token = await jwtVerify(svid.wit_svid, authority, { typ: "wit+jwt", algorithms: ["ES256"] });
  assert.equal(token.payload.sub, svid.spiffe_id);
  assert.equal(token.payload.aud, undefined);
  const { jwk } = token.payload.cnf;
  assert.equal(jwk.d, undefined);
  const holder = await importJWK(jwk);
  const audience = "https://tools.example/list";
  const { payload } = await jwtVerify(proof, holder, { typ: "wpt+jwt", audience, algorithms: [jwk.alg] });
  assert.equal(payload.wth, wth);
  await assert.rejects(jwtVerify(proof, authority, { typ: "wpt+jwt", audience }));
  return token.payload.jti;
}

const stream = messages("FetchX509SVID");
const first = (await stream.next()).value.svids[0];
const leaf = validated(first);
console.log(`id ${first.spiffe_id}`);
const domain = first.spiffe_id.split("/").slice(0, 3).join("/");
const bundles = (await messages("FetchJWTBundles").next()).value.bundles;
const { keys } = JSON.parse(bundles[domain]);
const old = await token(first.spiffe_id, keys);
await refused(call("ValidateJWTSVID", { audience: "accounts", svid: old }), grpc.status.INVALID_ARGUMENT);
await refused(call("FetchJWTSVID", { audience: [] }), grpc.status.INVALID_ARGUMENT);
await refused(
  call("FetchJWTSVID", { audience: [AUDIENCE] }, new grpc.Metadata()),
  grpc.status.INVALID_ARGUMENT,
);
const tokens = messages("FetchWITSVID");
const wit = (await tokens.next()).value.svids[0];
assert.equal(wit.spiffe_id, first.spiffe_id);
const named = await proven(wit, domain);
console.log("validated");
const next = (await stream.next()).value.svids[0];
assert.equal(next.spiffe_id, first.spiffe_id);
assert.notEqual(validated(next).serialNumber, leaf.serialNumber);
assert.notDeepEqual(next.x509_svid_key, first.x509_svid_key);
console.log("x509 rotated");
const another = (await tokens.next()).value.svids[0];
assert.notEqual(another.wit_svid_key, wit.wit_svid_key);
assert.notEqual(await proven(another, domain), named);
console.log("wit rotated");
for (let judged = true; judged; ) {
  await new Promise((later) => setTimeout(later, 500));
  judged = await call("ValidateJWTSVID", { audience: AUDIENCE, svid: old }).catch(() => false);
}
assert.notEqual(await token(first.spiffe_id, keys), old);
console.log("jwt rotated");
process.exit(0);
