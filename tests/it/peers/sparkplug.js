// Encodes and decodes with the npm package sparkplug-payload, for tests of Sparkplug B.
//   node sparkplug.js encode FILE < payload.json      node sparkplug.js decode FILE
const fs = require("fs");
const codec = require("sparkplug-payload").get("spBv1.0");
const [what, file] = process.argv.slice(2);
if (what === "encode") {
  const payload = JSON.parse(fs.readFileSync(0, "utf8"));
  fs.writeFileSync(file, codec.encodePayload(payload));
} else {
  const payload = codec.decodePayload(fs.readFileSync(file));
  const isLong = (value) => value !== null && typeof value === "object" && "low" in value;
  const plain = (_, value) => (isLong(value) ? value.low : value);
  console.log(JSON.stringify(payload, plain));
}
