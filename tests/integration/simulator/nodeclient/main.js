// Runs node-routeros against a router and prints what it saw as JSON.
// Usage: node main.js PORT USER PASSWORD
"use strict";

const { RouterOSAPI } = require("node-routeros");

const [port, user, password] = process.argv.slice(2);
const binding = "/ip/hotspot/ip-binding";
const list = "/ip/firewall/address-list";

function client(secret) {
  return new RouterOSAPI({ host: "127.0.0.1", port: Number(port), user, password: secret, timeout: 60 });
}

async function message(promise) {
  try {
    await promise;
    return "no error";
  } catch (error) {
    return error.message || String(error);
  }
}

// Tries add, print, set and remove, and the traps that belong to them.
async function verbs(api, report) {
  const [{ ret }] = await api.write(`${binding}/add`, ["=mac-address=aa:bb:cc:00:00:01", "=type=bypassed"]);
  report.added = ret;
  await api.write(`${binding}/set`, [`=.id=${ret}`, "=comment=c"]);
  report.row = await api.write(`${binding}/print`, ["?mac-address=AA:BB:CC:00:00:01", "=.proplist=.id,type,comment"]);
  report.duplicate = await message(api.write(`${binding}/add`, ["=mac-address=AA:BB:CC:00:00:01"]));
  await api.write(`${binding}/remove`, [`=.id=${ret}`]);
  report.gone = await message(api.write(`${binding}/remove`, [`=.id=${ret}`]));
}

// Sends many tagged commands at once and counts the answers that are not their own.
async function pipeline(api, report) {
  const numbers = [...Array(100).keys()];
  await Promise.all(numbers.map((n) => api.write(`${list}/add`, ["=list=js", `=address=10.0.0.${n}`])));
  const answers = await Promise.all(numbers.map((n) => api.write(`${list}/print`, [`?address=10.0.0.${n}`])));
  report.pipelined = answers.length;
  report.mixed = answers.filter((rows, n) => rows.length !== 1 || rows[0].address !== `10.0.0.${n}`).length;
}

// Follows a menu over an addition and a removal, then cancels.
async function listen(api, report) {
  report.listened = [];
  let heard;
  const both = new Promise((resolve) => { heard = resolve; });
  const stream = api.stream(["/ip/arp/listen", "=.proplist=.id,address,.dead"], (error, packet) => {
    if (error || !packet) return;
    report.listened.push((packet.address || "") + (packet[".dead"] || ""));
    if (report.listened.length === 2) heard();
  });
  await api.write("/system/identity/print");
  const [{ ret }] = await api.write("/ip/arp/add", ["=address=10.0.0.9", "=interface=bridge"]);
  await api.write("/ip/arp/remove", [`=.id=${ret}`]);
  await both;
  await stream.stop();
}

async function main() {
  const report = {};
  const stranger = client(`wrong ${password}`);
  report.wrong_login = await message(stranger.connect());
  const api = client(password);
  await api.connect();
  report.identity = await api.write("/system/identity/print");
  await verbs(api, report);
  await pipeline(api, report);
  await listen(api, report);
  report.usable = await api.write("/system/identity/print");
  await api.close();
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
