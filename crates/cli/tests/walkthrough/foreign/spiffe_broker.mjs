// A broker that knows SPIFFE by grpc-js and the descriptions of both services alone. The one word of Chancery
// is how it becomes a workload itself: it registers with the node as an instance of an agent.
//
// node spiffe_broker.mjs NPM PROTOS RUN AGENT NODE PID: obtains both kinds of SVIDs of process PID.
import assert from "node:assert/strict";
import { request } from "node:http";
import { createRequire } from "node:module";
import { X509Certificate, createPrivateKey } from "node:crypto";

const [npm, protos, run, agent, node, pid] = process.argv.slice(2);
const load = createRequire(`${npm}/node_modules/`);
const grpc = load("@grpc/grpc-js");
const loader = load("@grpc/proto-loader");
const described = (name) => grpc.loadPackageDefinition(loader.loadSync(`${protos}/${name}`, { keepCase: true }));

const registered = await new Promise((done, failed) => {
  const headers = { "content-type": "application/json" };
  const asked = request({ socketPath: `${run}/node.sock`, path: "/v1/launches", method: "POST", headers }, (answer) => {
    let text = "";
    answer.on("data", (piece) => (text += piece));
    answer.on("end", () => done(JSON.parse(text)));
  });
  asked.on("error", failed);
  asked.end(JSON.stringify({ agent_id: agent, isolated: false }));
});
assert(registered.spiffe_id, JSON.stringify(registered));
console.log(`broker ${registered.spiffe_id}`);

const pem = (der) => `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----\n`;

// Certificates in DER, one behind the other.
function certificates(der) {
  const found = [];
  for (let rest = der; rest.length > 0; ) {
    const bytes = rest[1] < 128 ? 0 : rest[1] & 127;
    const end = 2 + bytes + (bytes === 0 ? rest[1] : rest.readUIntBE(2, bytes));
    found.push(rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  return found;
}

function header(name) {
  const metadata = new grpc.Metadata();
  metadata.set(name, "true");
  return metadata;
}

const workload = new (described("workloadapi.proto").SpiffeWorkloadAPI)(
  `unix:${run}/workload/workload.sock`,
  grpc.credentials.createInsecure(),
);
const own = await new Promise((done, failed) => {
  const stream = workload.FetchX509SVID({}, header("workload.spiffe.io"));
  stream.on("data", (message) => done(message.svids[0]));
  stream.on("error", failed);
});
assert.equal(own.spiffe_id, registered.spiffe_id);
const key = createPrivateKey({ key: own.x509_svid_key, format: "der", type: "pkcs8" });
const mutual = grpc.credentials.createSsl(
  Buffer.from(certificates(own.bundle).map(pem).join("")),
  Buffer.from(key.export({ format: "pem", type: "pkcs8" })),
  Buffer.from(certificates(own.x509_svid).map(pem).join("")),
  {
    checkServerIdentity: (_, certificate) =>
      certificate.subjectaltname === `URI:${node}` ? undefined : new Error(certificate.subjectaltname),
  },
);
const broker = new (described("brokerapi.proto").spiffe.broker.API)(`unix:${run}/workload/broker.sock`, mutual);

function process_of(number) {
  const value = [0x08];
  for (; number > 127; number = Math.floor(number / 128)) {
    value.push((number % 128) | 128);
  }
  value.push(number);
  const type_url = "type.googleapis.com/spiffe.broker.WorkloadPIDReference";
  return { reference: { type_url, value: Buffer.from(value) } };
}

const first = (reference, metadata = header("broker.spiffe.io")) =>
  new Promise((done, failed) => {
    const stream = broker.SubscribeToX509SVID({ reference }, metadata);
    stream.on("data", (message) => done(message.svids));
    stream.on("error", failed);
  });

const tokens = (reference, audience) =>
  new Promise((done, failed) =>
    broker.FetchJWTSVID({ reference, audience }, header("broker.spiffe.io"), (error, answer) =>
      error ? failed(error) : done(answer.svids),
    ),
  );

async function refused(work, code, reason) {
  const error = await work.then(() => assert.fail("it was answered"), (error) => error);
  assert.equal(error.code, code, error.message);
  if (reason) {
    const [details] = error.metadata.get("grpc-status-details-bin");
    assert(details.includes(reason) && details.includes("spiffe.io"));
  }
}

const [svid, more] = await first(process_of(Number(pid)));
assert.equal(more, undefined);
const leaf = new X509Certificate(certificates(svid.x509_svid)[0]);
assert.equal(leaf.subjectAltName, `URI:${svid.spiffe_id}`);
assert(leaf.checkPrivateKey(createPrivateKey({ key: svid.x509_svid_key, format: "der", type: "pkcs8" })));
const [token] = await tokens(process_of(Number(pid)), ["reports"]);
const claims = JSON.parse(Buffer.from(token.svid.split(".")[1], "base64url"));
assert.equal(claims.sub, svid.spiffe_id);
assert.deepEqual(claims.aud, ["reports"]);
console.log(`obtained ${svid.spiffe_id}`);
const { INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED } = grpc.status;
await refused(first(process_of(Number(pid)), new grpc.Metadata()), INVALID_ARGUMENT);
await refused(first(undefined), INVALID_ARGUMENT, "WORKLOAD_REFERENCE_INVALID");
await refused(first(process_of(2147483647)), NOT_FOUND, "WORKLOAD_NOT_FOUND");
await refused(first(process_of(process.ppid)), PERMISSION_DENIED, "WORKLOAD_NOT_ENTITLED");
await refused(first(process_of(process.pid)), PERMISSION_DENIED, "WORKLOAD_NOT_ENTITLED");
console.log("refused the rest");
process.exit(0);
