// A server that speaks HTTP/2 alone: TLS with a certificate and a key, without TLS else. Says its port
// on standard output, and ends with its standard input.
//   node h2_server.mjs ADDRESS PORT [CERT KEY]
import fs from "node:fs";
import http2 from "node:http2";

const [address, port, cert, key] = process.argv.slice(2);
const server = cert
  ? http2.createSecureServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) })
  : http2.createServer();
server.on("stream", (stream, headers) => {
  stream.respond({ ":status": 200, "content-type": "text/plain" });
  stream.end(`${headers[":method"]} ${headers[":path"]} over HTTP/2\n`);
});
server.listen(Number(port), address, () => console.log(server.address().port));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
