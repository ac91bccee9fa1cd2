// Asks once.  node ca_client.mjs ca FILE URL: believes this file of roots alone.
//             node ca_client.mjs h2 FILE URL: speaks HTTP/2 alone, with the roots of NODE_EXTRA_CA_CERTS too.
import fs from "node:fs";
import https from "node:https";
import http2 from "node:http2";

const [kind, file, url] = process.argv.slice(2);
const fail = (error) => { console.log(`failed: ${error.message}`); process.exit(1); };
if (kind === "ca") {
  https.get(url, { ca: fs.readFileSync(file) }, (response) => {
    console.log(`status ${response.statusCode}`);
    response.resume();
  }).on("error", fail);
} else {
  const session = http2.connect(url, kind === "h2" && file !== "-" ? { ca: fs.readFileSync(file) } : {});
  session.on("error", fail);
  const stream = session.request({ ":path": "/allowed/one" });
  stream.on("error", fail);
  stream.on("response", (headers) => console.log(`status ${headers[":status"]}`));
  stream.resume();
  stream.on("end", () => session.close());
}
