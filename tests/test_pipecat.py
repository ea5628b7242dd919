"""The service for Pipecat, in a pipeline of the real package, in an environment of its own: its pins and ours exclude each other.

    python -m venv /tmp/pipecat && /tmp/pipecat/bin/pip install -r demos/pipecat/requirements.txt
    LIPSYNC_PIPECAT_PYTHON=/tmp/pipecat/bin/python python -m pytest tests/test_pipecat.py"""
import ast, json, os, subprocess
from pathlib import Path
from threading import Thread
from time import sleep
import pytest

DEMO = Path(__file__).parent.parent/'demos'/'pipecat'
OTHER = os.environ.get('LIPSYNC_PIPECAT_PYTHON')

def test_nothing_of_ours_is_imported():
    for file in DEMO.glob('*.py'):
        found = {(n.module if isinstance(n, ast.ImportFrom) else n.names[0].name) for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, (ast.Import, ast.ImportFrom))}
        assert not any(name.startswith('lipsync_kit') for name in found)

@pytest.mark.skipif(not OTHER, reason='LIPSYNC_PIPECAT_PYTHON names no Python with pipecat-ai')
def test_a_bot_of_pipecat_has_a_face():
    uvicorn = pytest.importorskip('uvicorn')
    from lipsync_kit.serve.guard import ServeOptions
    from lipsync_kit.serve.server import build_server
    server = uvicorn.Server(uvicorn.Config(build_server(ServeOptions(options=dict(size=128, motion_model='rules'))), port=0, log_level='critical'))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: sleep(.01)
    url = f'ws://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1/avatar'
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    p = subprocess.run([OTHER, 'check.py', url], cwd=DEMO, env=env, capture_output=True, text=True, timeout=180)
    server.should_exit = True
    thread.join(20)
    assert p.returncode == 0, p.stderr[-2000:]
    got = json.loads(p.stdout.splitlines()[-1])
    whole, unended, broken, alone = (got[k] for k in ('whole', 'unended', 'broken', 'alone'))
    assert whole['stops'] == pytest.approx([.6, 1.], abs=.021) and whole['sound'] == pytest.approx(1., abs=.021)     # ends where they belong
    assert whole['sizes'] == [[128, 128]] and whole['bytes'] == 128 * 128 * 3 and whole['pictures'] >= 25 and not whole['errors']
    assert unended['sound'] == pytest.approx(.5, abs=.021)                                                           # said before the pipeline ends
    assert 0 < broken['before'] < 3 and broken['after'] == pytest.approx(.3, abs=.021)                               # nothing of the rest comes
    assert broken['heard'] == pytest.approx(broken['before'], abs=.1)
    assert alone['errors'] and 'goes on without' in alone['errors'][0] and alone['pictures'] == 0 and alone['sound'] > 0
