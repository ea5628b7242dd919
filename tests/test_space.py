"The folder of the Space is in step with the package, and its app makes a video for a program."
import os, re, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path
import av, pytest, yaml

ROOT = Path(__file__).parent.parent
SPACE = ROOT/'demos'/'space'
PHOTO = ROOT/'lipsync_kit'/'data'/'astronaut.jpg'

def test_the_folder_is_in_step(tmp_path):
    "`make space` gives what is committed"
    subprocess.run([sys.executable, 'tools/space.py', str(tmp_path)], cwd=ROOT, check=True)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {p.name: p.read_text() for p in SPACE.iterdir() if p.is_file()}

def test_the_card_and_the_pins():
    _, head, _ = (SPACE/'README.md').read_text().split('---\n', 2)
    card, pins = yaml.safe_load(head), (ROOT/'constraints.txt').read_text().split()
    assert card['sdk'] == 'gradio' and f"gradio=={card['sdk_version']}" in pins and card['app_file'] == 'app.py'
    assert len(card['short_description']) <= 60          # what the hub allows
    own, *others = (SPACE/'requirements.txt').read_text().splitlines()
    assert re.search(r'@v\d+\.\d+\.\d+$', own) and others and set(others) <= set(pins)

def serve_and_ask(python, folder, tmp_path):
    "Start the app and let the Gradio client make one video"
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    env = os.environ | dict(GRADIO_SERVER_PORT=str(port), HF_HUB_OFFLINE='1', PYTHONPATH=str(ROOT) if python == sys.executable else '')
    log = (tmp_path/'log').open('w+')
    app = subprocess.Popen([python, 'app.py'], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(1500):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}', timeout=5).read(); break
            except OSError:
                if app.poll() is not None: log.seek(0); pytest.fail(log.read())
                time.sleep(.2)
        from gradio_client import Client, handle_file
        client = Client(f'http://127.0.0.1:{port}', verbose=False, download_files=str(tmp_path))
        points = set(client.view_api(return_format='dict')['named_endpoints'])
        ask = dict(audio=None, model='portrait', frame='head', api_name='/talk')
        made = client.predict(face=handle_file(str(PHOTO)), text='Hello from a Space.', **ask)
        with pytest.raises(Exception, match='no model is called'):
            client.predict(face=handle_file(str(PHOTO)), text='Hello', **{**ask, 'model': 'portrat'})
    finally: app.terminate(); app.wait()
    with av.open(made['video'] if isinstance(made, dict) else made) as c:
        assert c.streams.audio and c.streams.video[0].width == c.streams.video[0].height < 300
        assert sum(1 for _ in c.decode(video=0)) > 20
    return points

def test_a_program_makes_a_video(tmp_path):
    pytest.importorskip('gradio_client')
    assert '/talk' in serve_and_ask(sys.executable, SPACE, tmp_path)

FORKED = """
import multiprocessing as mp
from lipsync_kit.faces.detect import detect_faces
from lipsync_kit.media.read import read_image
photo = read_image(%r).image[:256, 96:352]
def looks(): raise SystemExit(len(detect_faces(photo)) + 40)
looked = len(detect_faces(photo))
p = mp.get_context('fork').Process(target=looks)
p.start(); p.join(%d)
if p.exitcode is None: p.kill()
print(looked, p.exitcode)
"""

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='a system without fork')
def test_a_process_that_was_forked_finds_faces_too():
    "A Space lends its GPU to such a process; the threads of what was loaded before stay behind"
    done = subprocess.run([sys.executable, '-c', FORKED % (str(PHOTO), 120)], text=True, capture_output=True,
                          env=os.environ | dict(PYTHONPATH=str(ROOT)))
    assert done.stdout.split() == ['1', '41'], done.stderr

@pytest.mark.skipif(not os.environ.get('LIPSYNC_SPACE'), reason='LIPSYNC_SPACE=1 installs the Space into an environment of its own (minutes, network)')
def test_it_starts_in_an_environment_of_its_own(tmp_path):
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}      # or pip finds this folder and installs no package
    def run(*args): subprocess.run(list(map(str, args)), check=True, env=env)
    shutil.copytree(SPACE, tmp_path/'space')
    run(sys.executable, '-m', 'venv', tmp_path/'venv')
    python = tmp_path/'venv'/'bin'/'python'
    run(python, '-m', 'pip', 'wheel', '-q', '--no-deps', '-w', tmp_path, ROOT)
    wheel, = tmp_path.glob('*.whl')
    needs = tmp_path/'space'/'requirements.txt'
    needs.write_text(re.sub(r'@ git\+\S+', f'@ {wheel.as_uri()}', needs.read_text()))
    run(python, '-m', 'pip', 'install', '-q', '-r', needs, '-c', ROOT/'constraints.txt')
    serve_and_ask(str(python), tmp_path/'space', tmp_path)
