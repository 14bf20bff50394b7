// An agent in a channel, over Debian's ws: says one thing and prints what it hears.
// node agent.js URL CONTENT

const WebSocket = require("ws");
const [url, content] = process.argv.slice(2);
const socket = new WebSocket(url);

socket.on("open", () => socket.send(JSON.stringify({ id: "js-1", type: "message", content, metadata: { from: "js" } })));
socket.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.type === "ACK") console.log(`stored ${message.message_id} as ${message.seq}`);
  else if (message.type === "message") console.log(`${message.agent_id}: ${message.content} ${JSON.stringify(message.metadata)}`);
});
socket.on("close", (code) => console.log(`closed ${code}`));
socket.on("error", (error) => console.log(`failed: ${error.message}`));
