"LSE and the judge of Wav2Lip inside `evaluate`: toys in place of the weights"
from types import SimpleNamespace
import numpy as np, pytest
from lipsync_kit.core import Audio
from lipsync_kit.hub.memory import ModelManager
from lipsync_kit.metrics.evaluate import evaluate
from lipsync_kit.metrics.expert import ExpertSync
from lipsync_kit.metrics.lse import AvOffset, LseC, LseD, Lsd
from lipsync_kit.metrics.synthetic import talking_face

NAMES = 'lse_d', 'lse_c', 'av_offset', 'lsd', 'expert_sync'

@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    "4.4 s of a face of 150 pixels whose mouth and sound belong together"
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp('sync')/'a.mp4'
    talking_face(path, Audio((.1 * rng.normal(size=70400)).astype(np.float32), 16000), size=256)
    return path

def answers(calls):
    "What stands in for the three networks: projections that tell windows apart"
    def flat(x, d): return np.stack([np.resize(np.asarray(v, np.float32).ravel()[::97], d) for v in x])
    unit = lambda x: x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    def find(image):
        calls.append('find')
        return np.array([[50, 40, 200, 200, .99]])
    def load(self, name, *_, **__):
        calls.append(name)
        syncnet = SimpleNamespace(lip=lambda x: flat(x, 64), audio=lambda x: flat(x, 64))
        expert = SimpleNamespace(face=lambda x: unit(flat(x, 64)), audio=lambda x: unit(abs(flat(x, 64))))
        return dict(sfd_face=find, syncnet_v2=syncnet, lipsync_expert=expert)[name]
    return load

@pytest.fixture
def calls(monkeypatch):
    calls = []
    monkeypatch.setattr(ModelManager, 'load', answers(calls))
    for k in (LseD, LseC, AvOffset, Lsd, ExpertSync): monkeypatch.setattr(k, 'lacks', classmethod(lambda cls: ''))
    return calls

def test_one_look_serves_all_metrics(clip, calls):
    r = evaluate(clip, metrics=NAMES)
    assert not r.missing, repr(r)
    assert [calls.count(n) for n in ('sfd_face', 'syncnet_v2', 'lipsync_expert', 'find')] == [1, 1, 1, 110]
    assert r['lse_d'].low < r['lse_d'].value < r['lse_d'].high and set(r['lse_d'].baselines) == {'shuffled'}
    assert len(r['lse_d'].series) == 105 and len(r['expert_sync'].series) == 106
    assert 0 <= r['lsd'].value <= 1 and 0 <= r['expert_sync'].value <= 1 and 'LSE-D' in r._repr_html_()

def test_short_track_says_why(clip, calls, monkeypatch):
    found = iter(range(999))
    load = ModelManager.load
    def find(image): return np.array([[50, 40, 200, 200, .99]] * (next(found) < 60))
    monkeypatch.setattr(ModelManager, 'load', lambda self, n, *a, **k: find if n == 'sfd_face' else load(self, n))
    r = evaluate(clip, metrics='lse_d,lsd')
    assert len(r.missing) == 2 and all('60 frames and is 160 pixels' in v['note'] for v in r.missing)

def test_without_weights_the_report_says_how_to_get_them(clip):
    r = evaluate(clip, metrics=NAMES)
    assert all('lipsync models download' in v['note'] for v in r.missing) and len(r.missing) == 5
