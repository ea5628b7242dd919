"What serves ends in order on Ctrl-C, whatever is under way"
import json, subprocess, sys, time
from pathlib import Path
import httpx, pytest

pytest.importorskip('aiortc', reason='aiortc is not installed')
from test_webrtc import Served

ROOT = Path(__file__).parent.parent
TEXT = 'This is a long text that is spoken now. ' * 25
ASK = (dict(type='conversation.item.create', item=dict(type='message', role='user',
                                                      content=[dict(type='input_text', text=TEXT[:200])])),
       dict(type='response.create'))
# Talks to a server and stops to read after some messages
CLIENT = '''
import sys, time
from websockets.sync.client import connect
address, n, *said = sys.argv[1:]
with connect(address) as ws:
    for x in said: ws.send(x)
    for _ in range(int(n)): ws.recv()
    print('there', flush=True)
    time.sleep(600)
'''
BAD = 'Traceback', 'RuntimeWarning', 'terminate', 'never retrieved', 'was destroyed', 'Exception ignored'

def client(address, n, *said):
    args = [sys.executable, '-W', 'ignore', '-c', CLIENT, address, str(n), *map(json.dumps, said)]
    p = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == 'there\n'
    return p

def until(holds):
    for _ in range(1200):
        if holds(): return
        time.sleep(.1)
    pytest.fail('it does not come to that')

def in_order(served, impatient=False):
    "It ends by itself, soon, and without a word of what was cut off"
    said = served.end(impatient)
    assert served.process.returncode in (0, -2, 130), said
    assert not [w for w in BAD if w in said], said

@pytest.mark.parametrize('path, n, said', [('realtime', 12, ASK), ('avatar', 30, ())])
def test_a_client_that_reads_no_more(path, n, said, tmp_path):
    served = Served(tmp_path)
    there = client(f'{served.url}/v1/{path}'.replace('http', 'ws'), n, *said)
    try:
        time.sleep(1)
        in_order(served, impatient=path == 'realtime')
    finally: there.kill()

@pytest.mark.parametrize('path, n, said', [('realtime', 8, ASK), ('avatar', 5, ())])
def test_a_client_that_vanishes(path, n, said, tmp_path):
    served = Served(tmp_path)
    client(f'{served.url}/v1/{path}'.replace('http', 'ws'), n, *said).kill()
    until(lambda: httpx.get(f'{served.url}/v1/talk').json()['taken'] == 0)
    in_order(served)

def test_in_the_middle_of_a_job(tmp_path):
    served = Served(tmp_path, '--folder', ROOT/'lipsync_kit'/'data')
    key = httpx.post(f'{served.url}/v1/jobs', json=dict(face='astronaut.jpg', text=TEXT), timeout=60).json()['id']
    until(lambda: httpx.get(f'{served.url}/v1/jobs/{key}').json()['progress'] > .05)
    in_order(served)

def test_the_app_in_the_middle_of_a_job(tmp_path):
    from gradio_client import Client, handle_file
    class App(Served):
        def up(self): httpx.get(self.url, timeout=5).raise_for_status()
    app = App(tmp_path, command='app')
    page = Client(app.url, verbose=False)
    job = page.submit(handle_file(ROOT/'lipsync_kit'/'data'/'astronaut.jpg'), TEXT, None, 'portrait', 'picture', api_name='/talk')
    until(lambda: any(p.progress and p.progress > .05 for p in job.status().progress_data or ()))
    in_order(app)

def test_threads_are_asked_to_end_before_python_does():
    "What may be inside a network or a codec goes through `flow.in_background`; these threads only wait or report"
    plain = {'flow.py', 'serve/jobs.py', 'batch/workers.py'}
    package = ROOT/'lipsync_kit'
    found = {str(p.relative_to(package)) for p in package.rglob('*.py') if 'Thread(' in p.read_text(encoding='utf-8')}
    assert found - plain - {'_modidx.py'} == set()
