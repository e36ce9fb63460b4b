"""Every way that a page may try to reach another port of this machine. Each ends by itself; then the page is drawn."""

# ruff: noqa: E501 (scripts of pages, one line each)

from __future__ import annotations

HOSTS = (
    "127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
)  # fmt: skip


def script_to(port: int) -> str:
    hosts = [f"{host}:{port}" for host in HOSTS]
    return f"""
    const hosts = {hosts}; const tries = []; const port = {port};
    const quietly = (attempt) => {{ try {{ tries.push(Promise.resolve(attempt()).catch(() => 0)); }} catch {{ }} }};
    for (const host of hosts) {{
      quietly(() => fetch("http://" + host + "/fetch", {{mode: "no-cors"}}));
      quietly(() => fetch("/redirect?to=http://" + host + "/redirected", {{mode: "no-cors"}}));
      quietly(() => new Promise((done) => {{ const s = new WebSocket("ws://" + host + "/socket"); s.onclose = s.onerror = done; }}));
      quietly(() => new Promise((done) => {{ const i = new Image(); i.onload = i.onerror = done; i.src = "http://" + host + "/image.png"; }}));
      quietly(() => navigator.sendBeacon("http://" + host + "/beacon", "x"));
      quietly(() => new Promise((done) => {{ const e = new EventSource("http://" + host + "/events"); e.onerror = () => {{ e.close(); done(); }}; }}));
      quietly(() => {{ const f = document.createElement("iframe"); f.src = "http://" + host + "/frame"; f.style.display = "none"; document.body.append(f); }});
      quietly(() => {{ const f = document.createElement("iframe"); f.src = "/redirect?to=http://" + host + "/frame"; f.style.display = "none"; document.body.append(f); }});
    }}
    const work = `onmessage = async (m) => {{ for (const host of m.data) {{
        try {{ await fetch("http://" + host + "/worker", {{mode: "no-cors"}}); }} catch {{ }}
        try {{ new WebSocket("ws://" + host + "/worker"); }} catch {{ }}
        try {{ importScripts("http://" + host + "/worker.js"); }} catch {{ }} }} postMessage(1); }}`;
    quietly(() => new Promise((done) => {{ const w = new Worker(URL.createObjectURL(new Blob([work]))); w.onmessage = w.onerror = done; w.postMessage(hosts); }}));
    quietly(() => navigator.serviceWorker.register("/cached"));
    quietly(async () => {{
      const servers = hosts.flatMap((host) => ["turn:" + host + "?transport=tcp", "turn:" + host + "?transport=udp", "turns:" + host + "?transport=tcp"])
        .map((urls) => ({{urls, username: "u", credential: "c"}}));
      servers.push(...hosts.map((host) => ({{urls: "stun:" + host}})));
      for (const server of servers) try {{
        const peer = new RTCPeerConnection({{iceServers: [server]}});
        peer.createDataChannel("x");
        await peer.setLocalDescription(await peer.createOffer());
        const answer = new RTCPeerConnection(); await answer.setRemoteDescription(peer.localDescription);
        await answer.setLocalDescription(await answer.createAnswer()); await peer.setRemoteDescription(answer.localDescription);
        for (const kind of ["udp", "tcp"]) await peer.addIceCandidate({{sdpMid: "0", candidate:
          "candidate:1 1 " + kind + " 2113937151 127.0.0.1 " + port + " typ host" + (kind == "tcp" ? " tcptype passive" : "")}}).catch(() => 0);
      }} catch {{ }}
      await later(1500);
    }});
    quietly(() => Promise.race([later(1500), new WebTransport("https://127.0.0.1:" + port + "/transport").ready]));
    Promise.race([Promise.all(tries), later(6000)]).then(() => {{ laidOut(); draw(hold(1)); }});
    """
