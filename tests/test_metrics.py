"Each metric reacts to what it claims to measure, and to nothing else; a report has no number that was not measured."
import json, subprocess, sys
import cv2, numpy as np, pytest
from lipsync_kit.cli.main import run
from lipsync_kit.core import Audio
from lipsync_kit.media.write import Writer
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.metrics.compare import compare
from lipsync_kit.metrics.evaluate import all_metrics, evaluate
from lipsync_kit.metrics.metric import BETTER, GROUPS, METRICS, NEEDS
from lipsync_kit.metrics.synthetic import talking_face
from lipsync_kit.speech.tts import speak

WORDS = ('My mother may buy a big map, but Bob and Pam pay for the boat. '
         'Please bring more bread and butter to the picnic by the beach.')

@pytest.fixture(scope='module')
def talk(tmp_path_factory):
    "Makes a video with one fault or lag, once, and says its path"
    folder, voice, have = tmp_path_factory.mktemp('talk'), speak(WORDS).audio.cut(0, 4), {}
    silence = np.zeros(voice.rate * 3 // 4, np.float32)
    gap = Audio(np.concatenate([voice.samples, silence, voice.samples[:voice.rate]]), voice.rate)
    def make(fault='', lag=0., fps=25):
        key = fault, lag, fps
        if key not in have:
            have[key] = folder/f'{fault}{lag}{fps}.mp4'
            talking_face(have[key], gap, fps, lag, fault)
        return have[key]
    return make

ASKED = 'mouth_sync,mouth_lag,mouth_confidence,jitter,flicker,mouth_sharpness,seam,outside,chatter'

@pytest.fixture(scope='module')
def judged(talk):
    "The report of such a video, beside the faultless one"
    have = {}
    def judge(fault='', lag=0., fps=25):
        key = fault, lag, fps
        if key not in have: have[key] = evaluate(talk(*key), talk(), metrics=ASKED, real=False)
        return have[key]
    return judge

def test_every_metric_says_what_it_is():
    kinds = all_metrics()
    assert len(kinds) >= 17
    for n, k in kinds.items():
        assert k.name == n and k.title and k.citation and k.span[0] < k.span[1], n
        assert k.better in BETTER and k.group in GROUPS and not set(k.needs) - set(NEEDS), n

TOY = """
from lipsync_kit.metrics.metric import PerFrame
class Redness(PerFrame):
    name, title, unit, group, better, span = 'redness', 'Mean of red', 'grey levels', 'picture', 'lower', (0, 255)
    citation = 'a toy'
    def of(self, view): return float(view.image[..., 0].mean())
"""

def plugin(folder, name, code, entry):
    "An installed package as `importlib.metadata` sees it: a module and its dist-info"
    (folder/f'{name}.py').write_text(code)
    info = folder/f'{name}-1.0.dist-info'
    info.mkdir()
    (info/'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
    (info/'entry_points.txt').write_text(f'[lipsync_kit.metrics]\n{entry}\n')

@pytest.fixture
def plugins(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    known = dict(METRICS)
    yield tmp_path
    METRICS.clear()
    METRICS.update(known)
    for name in ('toy_metrics', 'broken_metrics'): sys.modules.pop(name, None)

def test_another_package_brings_a_metric(plugins, talk, capsys):
    plugin(plugins, 'toy_metrics', TOY, 'redness = toy_metrics')
    assert list(all_metrics()).index('redness') < list(all_metrics()).index('fps')
    assert evaluate(talk(), metrics='redness')['redness'].value > 20
    assert run(['score', str(talk()), '-m', 'redness', '-q']) == 0 and 'Mean of red' in capsys.readouterr().out

def test_a_broken_package_is_left_out(plugins, talk, caplog):
    plugin(plugins, 'broken_metrics', 'import no_such_module', 'broken = broken_metrics')
    plugin(plugins, 'toy_metrics', TOY.replace('redness', 'jitter'), 'jitter = toy_metrics')
    assert all_metrics()['jitter'].__module__ == 'lipsync_kit.metrics.temporal'
    assert 'no_such_module' in caplog.text and "two metrics are called 'jitter'" in caplog.text

def test_a_faultless_face_is_in_step(judged):
    r = judged()
    assert r['mouth_sync'].value > .7 and r['mouth_sync'].baselines['shuffled'] < .2 and r['mouth_confidence'].value > 5
    assert abs(r['mouth_lag'].value) <= 20 and r['mouth_sync'].low < r['mouth_sync'].value < r['mouth_sync'].high

@pytest.mark.parametrize('lag', [-.2, .2])
def test_a_late_picture_is_found(judged, lag):
    r = judged(lag=lag)
    assert abs(r['mouth_lag'].value - 1000 * lag) <= 20 and r['mouth_sync'].value < judged()['mouth_sync'].value - .2

def test_moving_the_sound_makes_it_worse(judged):
    at, r = judged()['mouth_sync'].curve
    best = int(np.argmax(r))
    assert r[best] - np.interp([-400, -200, 200, 400], at, r).max() > .3

@pytest.mark.parametrize('fps', [29.97, 50])
def test_the_frame_rate_does_not_matter(judged, fps):
    a, b = judged(), judged(fps=fps)
    assert abs(a['mouth_sync'].value - b['mouth_sync'].value) < .1 and abs(b['mouth_lag'].value) <= 20

REACTS = dict(trembling='jitter', flickering='flicker', blurred='mouth_sharpness', boxed='seam', elsewhere='outside',
              chattering='chatter')
FAULT_OF = {metric: fault for fault, metric in REACTS.items()}

@pytest.mark.parametrize('fault, metric', REACTS.items())
def test_a_fault_is_seen_by_its_metric(judged, fault, metric):
    good, bad = judged()[metric].value, judged(fault)[metric].value
    if metric == 'mouth_sharpness': assert bad < .8 * good
    else: assert bad > 1.5 * good and bad > good + .05, (good, bad)

STAYS = dict(
    mouth_sync=('trembling', 'flickering', 'boxed', 'elsewhere'),
    mouth_sharpness=('elsewhere', 'boxed'),
    jitter=('elsewhere', 'boxed', 'chattering'),
    outside=('chattering', 'boxed', 'flickering'),
    flicker=('elsewhere', 'boxed', 'blurred'),
    chatter=('boxed', 'elsewhere'))

@pytest.mark.parametrize('metric, fault', [(m, f) for m, fs in STAYS.items() for f in fs])
def test_a_fault_is_not_seen_by_others(judged, metric, fault):
    good, bad = judged()[metric].value, judged(fault)[metric].value
    hit = judged({v: k for k, v in REACTS.items()}.get(metric, 'chattering'))[metric].value
    slack = max(.1, .35 * abs(hit - good))
    assert abs(bad - good) < slack, (good, bad, hit)

# --- real material ---------------------------------------------------------------------------------------

def test_cuts_gaps_and_silence_are_reported(talk, tmp_path):
    from skimage import data
    frames = [f.image for f in read_frames(talk())][:50]
    with Writer(tmp_path/'cut.mp4', 256, 256, 25, Audio(np.zeros(16000 * 4, np.float32), 16000)) as w:
        for i in range(100): w.write(cv2.resize(data.coffee(), (256, 256)) if 40 <= i < 60 else frames[i % 50])
    r = evaluate(tmp_path/'cut.mp4')
    assert any('no face in 20 %' in n for n in r.notes) and any('2 scene cuts' in n for n in r.notes)
    assert r['mouth_sync'].value is None and r['mouth_sync'].note == 'nobody speaks in the sound'
    assert r['jitter'].value is not None

def test_nothing_to_see_is_never_a_number(tmp_path):
    from skimage import data
    with Writer(tmp_path/'cup.mp4', 128, 128, 25) as w:
        for _ in range(30): w.write(cv2.resize(data.coffee(), (128, 128)))
    r = evaluate(tmp_path/'cup.mp4')
    faceless = [x['metric'] for x in r.found if 'face' in all_metrics()[x['metric']].needs]
    assert not faceless and all(x['note'] for x in r.missing)

def test_a_still_mouth_is_not_praised(talk, tmp_path):
    first = next(read_frames(talk())).image
    with Writer(tmp_path/'still.mp4', 256, 256, 25, read_audio(talk())) as w:
        for _ in range(probe(talk()).n_frames): w.write(first)
    r = evaluate(tmp_path/'still.mp4', metrics='sync')
    assert r['mouth_sync'].value < .15 and r['mouth_lag'].value is None and r['closures'].value is None

def test_mismatched_audio_is_found(talk, tmp_path):
    other = speak('Seven silver swans swam silently toward the setting sun, and then they were gone.').audio
    r = evaluate(talk(), audio=other, metrics='mouth_sync,mouth_confidence,mouth_lag')
    assert r['mouth_sync'].value < .35 and r['mouth_confidence'].value < 4

def test_the_real_video_is_a_baseline(talk):
    r = evaluate(talk('flickering'), talk(), metrics='flicker,mouth_sync')
    assert r['flicker'].baselines['real'] < r['flicker'].value and r['mouth_sync'].baselines['real'] > .7

def test_a_result_has_its_speed(tmp_path):
    from skimage import data
    from lipsync_kit import lipsync
    res = lipsync(data.astronaut()[:256, 90:346], speak('Hello there.').audio, out=tmp_path/'a.mp4')
    r = evaluate(res, metrics='speed')
    assert r['fps'].value > 0 and 0 < r['latency'].value <= res.timings['total'] and r['memory'].value > 100

# --- commands ----------------------------------------------------------------------------------------------

def test_score_writes_its_files(talk, tmp_path, capsys):
    video, as_json, html = str(talk()), str(tmp_path/'a.json'), str(tmp_path/'a.html')
    files = ['--reference', video, '--out', as_json, '--html', html]
    assert run(['score', video, *files, '-m', 'sync,jitter', '-q']) == 0
    out, d = capsys.readouterr().out, json.loads((tmp_path/'a.json').read_text())
    values = {m['metric']: m['value'] for m in d['metrics']}
    assert 'Mouth against speech' in out and values['mouth_sync'] > .7 and len(d['sha256']) == 64
    page = (tmp_path/'a.html').read_text()
    assert '<table' in page and 'http' not in page.replace('http://www.w3.org', '')

@pytest.mark.parametrize('args, word', [
    (['score', 'nowhere.mp4'], 'nowhere.mp4'),
    (['score', __file__], 'test_metrics.py'),
    (['bench', 'nowhere.json'], 'nowhere.json'),
    (['bench', __file__], 'is not a protocol')])
def test_bad_input_is_one_message(args, word, capsys):
    assert run([*args, '-q']) == 2
    err = capsys.readouterr().err
    assert word in err and 'Traceback' not in err

def test_compare_is_side_by_side(talk, tmp_path, capsys):
    c = compare({'good': talk(), 'late': talk(lag=.2)}, metrics='mouth_sync,mouth_lag', grid=tmp_path/'grid.mp4')
    assert c.best('mouth_sync') == 'good' and c.best('mouth_lag') == 'good' and probe(tmp_path/'grid.mp4').width == 512
    assert run(['compare', f'good={talk()}', f'late={talk(lag=.2)}', '-m', 'mouth_lag', '-q']) == 0
    assert 'good' in capsys.readouterr().out

def test_bench_resumes(talk, tmp_path, capsys):
    media = tmp_path/'clips'
    media.mkdir()
    for n in ('ann', 'bob'): (media/f'{n}.mp4').write_bytes(talk(lag=0. if n == 'ann' else .2).read_bytes())
    assert run(['bench', str(media), '--make', str(tmp_path/'p.json'), '--seconds', '2']) == 0
    p = json.loads((tmp_path/'p.json').read_text())
    p['metrics'] = 'mouth_sync,outside'
    (tmp_path/'p.json').write_text(json.dumps(p))
    again = ['bench', str(tmp_path/'p.json'), '--media', str(media), '-o', str(tmp_path/'out'), '-q']
    assert run(again) == 0
    rows = (tmp_path/'out'/'rows.jsonl').read_text().splitlines()
    assert len(rows) == 6 and run(again) == 0 and (tmp_path/'out'/'rows.jsonl').read_text().splitlines() == rows
    assert '| real | still | portrait |' in (tmp_path/'out'/'table.md').read_text()
    assert all((tmp_path/'out'/n).stat().st_size for n in ('table.json', 'rows.csv', 'plot.png'))
    (media/'bob.mp4').write_bytes(talk('boxed').read_bytes())
    assert run([*again[:-3], '-o', str(tmp_path/'new'), '-q']) == 1
    assert 'another sha256' in (tmp_path/'new'/'table.md').read_text()

def test_bench_measures_effects_beside_the_model_alone(talk, tmp_path, capsys):
    media, out = tmp_path/'clips', tmp_path/'out'
    media.mkdir()
    (media/'ann.mp4').write_bytes(talk().read_bytes())
    assert run(['bench', str(media), '--make', str(tmp_path/'p.json'), '--seconds', '1']) == 0
    p = json.loads((tmp_path/'p.json').read_text())
    (tmp_path/'p.json').write_text(json.dumps({**p, 'metrics': 'mouth_sharpness'}))
    given = ['bench', str(tmp_path/'p.json'), '--media', str(media), '-o', str(out), '-q']
    assert run([*given, '--then', 'sharpen:amount=1']) == 0
    row = {r['system']: r['values'] for r in json.loads((out/'table.json').read_text())['rows']}
    assert [*row] == ['real', 'still', 'portrait', 'portrait; sharpen:amount=1']
    assert row['portrait; sharpen:amount=1']['mouth_sharpness'] > 1.1 * row['portrait']['mouth_sharpness']
    assert len([*(out/'videos').glob('portrait*')]) == 2 and '| portrait; sharpen:amount=1 |' in (out/'table.md').read_text()
    rows = (out/'rows.jsonl').read_text()
    assert run([*given, '-m', 'portrait', '-m', 'portrait; sharpen:amount=1']) == 0 and (out/'rows.jsonl').read_text() == rows
    capsys.readouterr()
    assert run([*given, '--then', 'sharpn']) == 2 and "did you mean 'sharpen'?" in capsys.readouterr().err

def test_the_synthetic_face_needs_no_model():
    code = "import sys, lipsync_kit.metrics.synthetic; print([m for m in sys.modules if m.startswith('lipsync_kit.models.')])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'
