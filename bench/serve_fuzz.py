"Fuzzes the server's REST calls with schemathesis (pip install schemathesis): no answer may be a 500, and each must be as the OpenAPI description says."
import subprocess, sys, threading, time
from importlib.resources import files
from importlib.util import find_spec
import httpx, uvicorn
from lipsync_kit.serve.guard import ServeOptions
from lipsync_kit.serve.server import build_server

PORT, CHECKS = 7881, 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'

def main():
    if find_spec('schemathesis') is None: sys.exit('schemathesis is not installed: pip install schemathesis')
    folder = files('lipsync_kit')/'data'
    server = uvicorn.Server(uvicorn.Config(build_server(ServeOptions(port=PORT, folder=str(folder))), port=PORT, log_level='error'))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started: time.sleep(.1)
    words = ['-m', 'schemathesis.cli', 'run', f'http://localhost:{PORT}/openapi.json', '--max-examples', sys.argv[1] if len(sys.argv) > 1 else '50', '--checks', CHECKS]
    code = subprocess.run([sys.executable, *words]).returncode
    assert httpx.get(f'http://localhost:{PORT}/health').status_code == 200
    server.should_exit = True
    sys.exit(code)

if __name__ == '__main__': main()
