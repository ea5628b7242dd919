"A model in a package of its own, as CONTRIBUTING.md has it, is found everywhere without any other edit."
import json, os, re, subprocess, sys
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
PHOTO = ROOT/'lipsync_kit'/'data'/'astronaut.jpg'

@pytest.fixture(scope='module')
def env(tmp_path_factory):
    "Environment of processes that see the package: its module and its entry point lie in a folder on the path"
    text, folder = (ROOT/'CONTRIBUTING.md').read_text(), tmp_path_factory.mktemp('site')
    blocks = dict(re.findall(r'`([\w.]+)`:\n\n```\w+\n(.*?)```', text, re.S))
    assert len([l for l in blocks['toy_model.py'].splitlines() if l.strip()]) <= 40
    (folder/'toy_model.py').write_text(blocks['toy_model.py'])
    (folder/'toy_model-1.dist-info').mkdir()
    (folder/'toy_model-1.dist-info'/'METADATA').write_text('Metadata-Version: 2.1\nName: toy_model\nVersion: 1\n')
    group, line = re.search(r'entry-points\."([\w.]+)"\]\n(.*)', blocks['pyproject.toml']).groups()
    (folder/'toy_model-1.dist-info'/'entry_points.txt').write_text(f'[{group}]\n' + line.replace('"', '') + '\n')
    return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(folder), str(ROOT)])}

def python(env, code, *args):
    return subprocess.run([sys.executable, '-c', code, *map(str, args)], capture_output=True, text=True, env=env, cwd=ROOT)

def lipsync(env, *args): return python(env, 'from lipsync_kit.cli.main import main; main()', *args)

def test_command_line(env, tmp_path):
    helped = lipsync(env, 'talk', '--model', 'toy', '--help')
    assert '--darkness' in helped.stdout and '--emotion' not in helped.stdout and '--steps' not in helped.stdout
    made = lipsync(env, 'talk', PHOTO, '--text', 'Hello.', '--model', 'toy', '--darkness', '.5', '--size', '256', '-o', tmp_path/'a.mp4', '-q', '-v')
    assert made.returncode == 0 and (tmp_path/'a.mp4').is_file(), made.stderr
    assert 'model toy' in made.stdout
    wrong = lipsync(env, 'talk', PHOTO, '--text', 'Hello.', '--model', 'toy', '--darkness', '2')
    assert wrong.returncode == 2 and 'darkness must lie in 0..1, not 2' in wrong.stderr
    other = lipsync(env, 'talk', PHOTO, '--text', 'Hello.', '--darkness', '.5')
    assert other.returncode == 2 and 'the model portrait takes no darkness' in other.stderr and 'toy' in other.stderr

def test_schema_plan_and_batch(env, tmp_path):
    schema = json.loads(lipsync(env, 'schema', 'talk', '--model', 'toy').stdout)
    assert schema['properties']['darkness']['maximum'] == 1 and 'steps' not in schema['properties']
    planned = lipsync(env, 'plan', PHOTO, '--text', 'Hello.', '--model', 'toy', '--size', '128')
    assert planned.returncode == 0 and planned.stdout.startswith(('about ', 'unknown time ')), planned   # known once the toy has drawn here
    (tmp_path/'jobs.csv').write_text(f'face,text,model,darkness,size,out\n{PHOTO},Hi.,toy,"0,5",128,a.mp4\n{PHOTO},Hi.,toy,7,128,b.mp4\n')
    batch = json.loads(lipsync(env, 'batch', tmp_path/'jobs.csv', '--json').stdout)
    assert batch['counts'] == dict(done=1, bad=1) and '0..1' in batch['failures'][0]['message']

def test_app_and_docs(env):
    code = """
from lipsync_kit import app
from lipsync_kit.models.contract import model_card, model_cards
from lipsync_kit.params import options_table, settings_of
page = app.build()
labels = [str(getattr(b, 'label', '')) for b in page.blocks.values()]
print('toy' in model_cards(), 'Darkness' in labels, 'toy' in [c for b in page.blocks.values() for c, _ in getattr(b, 'choices', []) or []])
print(options_table(settings_of(model_card('toy').settings).values()))
"""
    done = python(env, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == 'True True True' and '| `darkness` | 0.8 | 0..1 | how dark an open mouth is |' in done.stdout
