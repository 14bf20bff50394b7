// An agent in a channel, with Debian's ws: sends one message and prints those that it receives.
// node agent.js URL CONTENT

const WebSocket = require("ws");
const [url, content] = process.argv.slice(2);
const socket = new WebSocket(url);

socket.on("open", () => {
  const message = { id: "js-1", type: "message", content, metadata: { from: "js" } };
  socket.send(JSON.stringify(message));
});
socket.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.type === "ACK") {
    console.log(`stored ${message.message_id} as ${message.seq}`);
  } else if (message.type === "message") {
    const metadata = JSON.stringify(message.metadata);
    console.log(`${message.agent_id}: ${message.content} ${metadata}`);
  }
});
socket.on("close", (code) => console.log(`closed ${code}`));
socket.on("error", (error) => console.log(`failed: ${error.message}`));
