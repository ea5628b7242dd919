"Fuzzes the server's REST calls with schemathesis (pip install schemathesis): no answer may be a 500, and each must be as the OpenAPI description says."
import os, subprocess, sys, threading, time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
import httpx, uvicorn
from lipsync_kit.serve.guard import ServeOptions
from lipsync_kit.serve.server import build_server

PORT, CHECKS = 7881, 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'

if find_spec('schemathesis'):
    import schemathesis
    @schemathesis.serializer('application/sdp')
    def sdp(context, value):
        "An offer as it is sent"
        return str(value).encode('utf-8', 'replace')

def main():
    if find_spec('schemathesis') is None: sys.exit('schemathesis is not installed: pip install schemathesis')
    folder = files('lipsync_kit')/'data'
    server = uvicorn.Server(uvicorn.Config(build_server(ServeOptions(port=PORT, folder=str(folder))), port=PORT, log_level='error'))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started: time.sleep(.1)
    words = ['-m', 'schemathesis.cli', 'run', f'http://localhost:{PORT}/openapi.json', '--max-examples', sys.argv[1] if len(sys.argv) > 1 else '50', '--checks', CHECKS]
    own = os.environ | dict(SCHEMATHESIS_HOOKS='serve_fuzz', PYTHONPATH=os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]))
    code = subprocess.run([sys.executable, *words], env=own).returncode
    assert httpx.get(f'http://localhost:{PORT}/health').status_code == 200
    server.should_exit = True
    sys.exit(code)

if __name__ == '__main__': main()
