// Plain JavaScript, so that a Node which cannot run the rest can still say so.
const needed = 24;
const found = Number(process.versions.node.split(".")[0]);
if (found < needed) {
  console.error(
    `sandboxd runs on Node ${needed}, this is ${process.version}: start it by "npm ci && npm start", which brings Node ${needed} along, or install Node ${needed}.`,
  );
  process.exit(2);
}
await import("./start.ts");
