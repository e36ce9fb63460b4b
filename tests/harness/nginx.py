"""nginx with the configuration that we give to Superset's operators (deploy/superset/nginx.conf), on private ports."""

from __future__ import annotations

from pathlib import Path

from tests.harness.errors import HarnessError
from tests.harness.ports import accepts
from tests.harness.process import ManagedProcess
from tests.harness.server import Server, find_program

CONFIGURATION = Path(__file__).parents[2] / "deploy/superset/nginx.conf"
AROUND = """\
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


class Nginx(Server):
    """Superset and Vitrine, at these ports of this machine, behind one origin."""

    name = "nginx"
    start_timeout_s = 15

    def __init__(self, *, superset: int, vitrine: int) -> None:
        program = find_program("nginx", package="nginx-light")
        super().__init__()
        site = CONFIGURATION.read_text()
        for old, port in (("8088", superset), ("8089", vitrine), ("8080", self.port)):
            if site.count(f"127.0.0.1:{old};") != 1:
                raise HarnessError(f"{CONFIGURATION} has no single 127.0.0.1:{old}")
            site = site.replace(f"127.0.0.1:{old};", f"127.0.0.1:{port};")
        written = self.folder / "nginx.conf"
        written.write_text(AROUND.format(folder=self.folder, site=site))
        self.processes = [ManagedProcess([program, "-c", written], folder=self.folder, name=self.name)]
        self.url = f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        return accepts(self.port)
