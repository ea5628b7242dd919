"The command line as a whole: help, completion, JSON, mistakes that are told at once, and the words of messages."
import ast, json, os, subprocess, sys
from pathlib import Path
import pytest
from lipsync_kit.cli.main import COMMANDS, run
from lipsync_kit.cli.bar import spoken

LIB = Path(__file__).parent.parent/'lipsync_kit'
PHOTO = str(LIB/'data'/'astronaut.jpg')

def out_of(capsys, *args):
    code = run([*map(str, args)])
    said = capsys.readouterr()
    return code, said.out, said.err

def test_help_has_groups_and_every_command_an_example(capsys):
    code, out, _ = out_of(capsys, '--help')
    assert code == 0 and all(f'─ {part} ─' in out for part in ('Make', 'Measure', 'Set up'))
    for name, (_, example) in COMMANDS.items():
        text = ' '.join(out_of(capsys, name, '--help')[1].split())
        assert example in text and name in out, name

def completed(words, shell='bash'):
    env = dict(os.environ, _LIPSYNC_COMPLETE=f'complete_{shell}', COMP_WORDS=words, COMP_CWORD=str(len(words.split(' ')) - 1))
    code = 'from lipsync_kit.cli.main import main; main()'
    return subprocess.run([sys.executable, '-c', code], env=env, capture_output=True, text=True).stdout.split()

def test_the_shell_completes_commands_flags_and_values():
    assert completed('lipsync ta') == ['talk']
    assert '--motion-model' in completed('lipsync talk --mo') and '--model' in completed('lipsync talk --mo')
    assert completed('lipsync talk a.jpg --model port') == ['portrait']
    assert completed('lipsync talk a.jpg --emotion ha') == ['happy']
    assert 'hibari' in completed('lipsync talk a.jpg --voice ')
    assert set(completed('lipsync talk a.jpg --model wav2lip --preset ')) == {'best', 'original'}
    assert completed('lipsync models info face_l') == ['face_landmarker']

def test_json_is_one_object_on_stdout_and_nothing_else(capsys, tmp_path):
    made = tmp_path/'a.mp4'
    calls = dict(talk=[PHOTO, '--text', 'Hello.', '-o', made, '--size', 128], plan=[PHOTO, '--text', 'Hello.'],
                 motion=['--text', 'Hello.', '-o', tmp_path/'a.json'], voices=[], verify=[made],
                 process=[made, '--then', 'sharpen', '-o', tmp_path/'b.mp4'])
    found = {}
    for name, args in calls.items():
        code, out, _ = out_of(capsys, name, *args, '--json')
        assert code == 0, name
        found[name] = json.loads(out)
        assert isinstance(found[name], dict)
    assert found['talk']['n_frames'] == found['plan']['n_frames'] and found['talk']['size'] == [128, 128]
    assert found['verify']['marked'] and 'hibari' in [v['name'] for v in found['voices']['voices']]
    for args in (['models', 'list'], ['models', 'du'], ['models', 'info', 's3fd'], ['models', 'verify', 'face_landmarker']):
        assert isinstance(json.loads(out_of(capsys, *args, '--json')[1]), dict)
    out = out_of(capsys, 'score', made, '--json', '-m', 'mouth_sync,mouth_learned')[1]
    assert {m['metric'] for m in json.loads(out)['metrics']} == {'mouth_sync', 'mouth_learned'}

WRONG = dict(device='banana', preset='foo', voice='foo', emotion='hapy', face='x', no_face='foo', fit='foo', size='3', crf='99',
             policy='foo', motion_model='foo', then='sharpn', speed='9', fps='0', seed='-1', gain='x')

@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_choice_is_told_before_anything_is_read(name, monkeypatch, capsys):
    def never(*a, **k): raise AssertionError('something was read')
    monkeypatch.setattr('lipsync_kit.pipe.prepare.open_source', never)
    monkeypatch.setattr('lipsync_kit.pipe.prepare.speech_of', never)
    model = ['--model', 'wav2lip'] if name == 'preset' else []
    code, out, err = out_of(capsys, 'talk', PHOTO, '--text', 'Hello.', *model, '--' + name.replace('_', '-'), WRONG[name])
    assert code == 2 and not out and WRONG[name] in err, err
    if name == 'preset': assert 'best, original' in err
    if name == 'emotion': assert "did you mean 'happy'" in err

@pytest.mark.parametrize('args, told', {
    'a model': (['talk', PHOTO, '--text', 'Hello.', '--model', 'portrat'], "did you mean 'portrait'"),
    'no model': (['talk', PHOTO, '--text', 'Hello.', '--model', 'wav2lip'], 'models download wav2lip'),
    'a file': (['talk', PHOTO, 'no.wav'], 'no file no.wav'), 'out': (['talk', PHOTO, '--text', 'hi', '-o', 'a.xyz'], '.mp4'),
    'one video': (['compare', PHOTO], 'two or more'), 'a still': (['compare', f'a={PHOTO}', f'b={PHOTO}'], 'no video'),
    'score': (['score', PHOTO], 'no video'), 'metric': (['score', PHOTO, '-m', 'mouth_sink'], 'mouth_sync'),
    'figures': (['compare', 'a=a.mp4', 'b=b.mp4', '-o', 'a.txt'], '.json'), 'track': (['motion', '--text', 'hi', '-o', 'a.xyz'], '.json'),
    'bench': (['bench', 'media', '--model', 'portrat'], "did you mean 'portrait'"), 'preset': (['bench', 'media', '--preset', 'foo'], 'best'),
}.values())
def test_other_mistakes_are_told_at_once(args, told, monkeypatch, capsys):
    def never(*a, **k): raise AssertionError('something was measured')
    for where in 'pipe.prepare.open_source', 'pipe.prepare.speech_of', 'metrics.evaluate.measured':
        monkeypatch.setattr(f'lipsync_kit.{where}', never)
    code, _, err = out_of(capsys, *args)
    assert code == 2 and told in err, err

def messages():
    "The text of each error of the package"
    for path in LIB.rglob('*.py'):
        for x in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(x, ast.Call) and getattr(x.func, 'id', '') == 'KitError' and x.args): continue
            parts = [c.value for c in ast.walk(x.args[0]) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
            yield path, ''.join(parts)

def test_no_message_speaks_python_on_the_command_line():
    import re
    from lipsync_kit.pipe.options import INPUTS, all_settings
    names = '|'.join({*INPUTS, *all_settings(), 'model'})
    seen = [(p.name, spoken(m)) for p, m in messages() if re.search(rf'\b({names})=', m)]
    left = [(p, m) for p, m in seen if re.search(rf'(?<![-\w])({names})=(?!\w*=)', m)]
    assert len(seen) > 10 and not left, left

def test_a_run_ends_with_at_most_one_line_about_licences(capsys, tmp_path):
    code, out, _ = out_of(capsys, 'talk', PHOTO, '--text', 'Hello.', '-o', tmp_path/'a.mp4', '--size', 128, '-q')
    assert code == 0 and sum('licence' in l or 'commercial' in l for l in out.splitlines()) <= 1 and 'motion model: ' not in out
    assert 'made with' in out_of(capsys, 'talk', PHOTO, '--text', 'Hello.', '-o', tmp_path/'a.mp4', '--size', 128, '-q', '-v')[1]
