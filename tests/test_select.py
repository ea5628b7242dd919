"The choice of a model: machine, input and options as a table, with the model that is chosen and a part of the reason"
from dataclasses import replace
import pytest
from lipsync_kit.core import KitError
from lipsync_kit.models.contract import ModelCard
from lipsync_kit.select.choose import Machine, Situation, rank
from lipsync_kit.select.measured import Cost, Measurements, Prediction, Quality
from lipsync_kit.select.options import processing_options

def card(name, inputs=('image', 'video'), by=('audio',), can=(), **more):
    return ModelCard(name, '', 'none', inputs, by, can, **more)

CARDS = [
    card('photo', by=('motion',), can=('emotion', 'head_pose', 'multi_face', 'realtime')),
    card('solid', by=('motion',), can=('emotion', '3d')),
    card('own', ('video',), ('motion',), ('trainable',)),
    card('small', can=('multi_face',), size=96, weights=('wav2lip',), weights_from='published', languages=('en',)),
    card('middle', can=('multi_face',), size=256, weights=('musetalk-1.5',), weights_from='published'),
    card('large', size=512, weights=('latentsync-1.6',), weights_from='published'),
    card('painter', ('image',), can=('head_pose',), size=512, weights=('EchoMimic-standard',), weights_from='published'),
    card('lab', can=('multi_face',), commercial=False, licence='research only')]
NAMES = [c.name for c in CARDS]

def costs(device='cpu', **seconds):
    "What each model takes: seconds for a frame, on stills and videos"
    return tuple(Cost(n, device if n in ('small', 'middle', 'large', 'painter') else 'cpu', still, .262144, 1., s, memory)
                 for n, (s, memory) in seconds.items() for still in (True, False))

FAST = costs(photo=(.01, 600), solid=(.03, 700))
CPU = Machine('a laptop', 'cpu', 0, Measurements(FAST), {n: (f'lipsync models download {n} (2 GB; MIT)',) for n in NAMES[3:]})
OPEN = Machine('a laptop with files', 'cpu', 0, Measurements((*FAST, *costs(small=(.03, 900), middle=(2., 5000), large=(30., 9000), painter=(40., 12000), lab=(.02, 500), own=(.02, 800)))))
GPU = Machine('a GPU', 'cuda', 24000, Measurements((*costs('cuda', photo=(.01, 600), solid=(.03, 700), own=(.02, 800), small=(.004, 1500), middle=(.02, 6000), large=(.4, 18000), painter=(.3, 20000), lab=(.02, 500)),)))
FOUND = dict(photo=.4, solid=.35, small=.5, middle=.6, large=.7, painter=.65, lab=.3)
JUDGED = replace(GPU, measured=replace(GPU.measured, qualities=tuple(Quality(n, task, q, 20, 'media') for n, q in FOUND.items() for task in ('animate', 'dub'))))
NEW = Machine('a new machine')
STILL, VIDEO = Situation(face=300.), Situation(still=False, face=300.)

# machine, input, options, the model (None: nobody), a part of its reason or of the error
TABLE = [
    (CPU, STILL, {}, 'photo', 'quality not measured here'),
    (CPU, STILL, dict(quality_priority='fast'), 'photo', 'about 2.2 s'),
    (CPU, STILL, dict(quality_priority='best'), 'photo', "face's own size"),
    (CPU, VIDEO, {}, 'photo', 'about 2.2 s'),
    (CPU, STILL, dict(enable_3d=True), 'solid', 'about 4.8 s'),
    (CPU, VIDEO, dict(enable_3d=True), 'solid', 'about 4.8 s'),
    (CPU, STILL, dict(enable_emotions=True), 'photo', 'about 2.2 s'),
    (CPU, replace(STILL, voices=2, faces=2), dict(), 'photo', 'about 2.2 s'),
    (CPU, replace(STILL, voices=2, faces=2), dict(enable_3d=True), None, 'several shall speak'),
    (CPU, replace(STILL, seconds=600.), dict(max_seconds=60), None, 'more than 60'),
    (CPU, replace(STILL, seconds=600.), dict(max_seconds=200), 'photo', 'about 151.0 s'),
    (CPU, STILL, dict(max_seconds=1), None, 'lipsync models download small'),
    (CPU, STILL, dict(require_real_time=True), 'photo', 'about 2.2 s'),
    (CPU, STILL, dict(require_real_time=True, target_fps=60), 'photo', 'about 4.0 s'),
    (CPU, STILL, dict(require_real_time=True, target_fps=120), None, '7.0 s for 5.0 s of video'),
    (CPU, STILL, dict(max_cost=.001, hourly_price=1.), 'photo', 'about 2.2 s'),
    (CPU, STILL, dict(max_cost=.0001, hourly_price=1.), None, 'costs about'),
    (CPU, replace(VIDEO, only=('own',)), {}, 'own', 'speed not measured here'),
    (NEW, STILL, {}, 'photo', 'speed not measured here (lipsync bench me)'),
    (NEW, STILL, dict(require_real_time=True), None, 'lipsync bench me'),
    (NEW, STILL, dict(max_vram_gb=.1, policy='any', enable_emotions=True), 'photo', 'not measured'),
    (OPEN, replace(STILL, motion=True), {}, 'photo', 'about 2.2 s'),
    (OPEN, STILL, dict(quality_priority='best', policy='commercial'), 'photo', "face's own size"),
    (OPEN, replace(STILL, face=90.), dict(quality_priority='balanced'), 'photo', 'not measured'),
    (GPU, replace(STILL, face=600.), dict(quality_priority='fast'), 'small', 'draws 96 pixels for a face of 600'),
    (GPU, STILL, dict(quality_priority='fast', policy='commercial'), 'photo', 'about 2.2 s'),
    (GPU, STILL, dict(quality_priority='fast', language='de'), 'photo', 'about 2.2 s'),
    (JUDGED, VIDEO, dict(quality_priority='best'), 'large', '0.70 on 20 clips'),
    (JUDGED, VIDEO, dict(quality_priority='balanced'), 'middle', '0.60 on 20 clips'),
    (JUDGED, VIDEO, dict(quality_priority='best', max_vram_gb=8), 'middle', '0.60'),
    (JUDGED, VIDEO, dict(quality_priority='best', max_seconds=4), 'middle', '0.60'),
    (JUDGED, STILL, dict(quality_priority='best', max_vram_gb=2), 'small', '0.50'),
    (JUDGED, STILL, dict(quality_priority='best', enable_emotions=True), 'photo', '0.40'),
    (JUDGED, replace(VIDEO, motion=True), dict(quality_priority='best'), 'photo', '0.40'),
    (replace(JUDGED, memory=8000), VIDEO, dict(quality_priority='best'), 'middle', '0.60'),
]

@pytest.mark.parametrize('machine,situation,given,model,reason', TABLE, ids=range(len(TABLE)))
def test_situation(machine, situation, given, model, reason):
    r = rank(situation, machine, processing_options(**given), CARDS)
    assert sorted([*r.names, *(e.model for e in r.excluded)]) == sorted(NAMES), 'each model has a place or a reason'
    if model is None:
        with pytest.raises(KitError) as e: r.first
        assert reason in str(e.value)
    else: assert r.first.model == model and reason in r.first.reason, r

def test_every_excluded_model_says_why_and_how():
    r = rank(VIDEO, CPU, processing_options(policy='commercial'), CARDS)
    why = {e.model: e for e in r.excluded}
    assert why['painter'].why == 'takes no video' and not why['painter'].command
    assert 'research only' in why['lab'].why and 'research only' in why['small'].why
    assert (why['middle'].why, why['middle'].command) == ('is not whole here', 'lipsync models download middle')

def test_the_policy_of_the_environment_holds(monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_POLICY', 'commercial')
    assert 'lab' not in rank(STILL, OPEN, processing_options(), CARDS).names
    assert 'lab' in rank(STILL, OPEN, processing_options(policy='any'), CARDS).names

def test_files_larger_than_the_memory_leave_a_model_out_before_it_was_measured():
    r = rank(VIDEO, Machine('a small GPU', 'cuda', 1000), processing_options(), CARDS)
    assert {'middle', 'large'} <= {e.model for e in r.excluded if 'of memory may be taken' in e.why}

def test_estimates_and_refusals_come_from_outside():
    r = rank(STILL, NEW, processing_options(max_seconds=10), CARDS, lambda c: Prediction(3., 0, 'said so') if c.name == 'solid' else None)
    assert r.names == ['solid']
    r = rank(STILL, NEW, processing_options(), CARDS, refuses=lambda c: 'takes no bbox_shift' if c.name != 'middle' else '')
    assert r.names == ['middle'] and all('bbox_shift' in e.why for e in r.excluded if e.model not in ('own', 'middle'))

def test_the_choice_imports_no_model():
    import subprocess, sys
    code = ("import sys, lipsync_kit.select.choose as c; from lipsync_kit.select.options import ProcessingOptions; "
            "c.rank(c.Situation(), c.this_machine()); "
            "print([m for m in sys.modules if m.startswith('lipsync_kit.models.') and m.endswith('.model')], 'torch' in sys.modules)")
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == '[] False'
