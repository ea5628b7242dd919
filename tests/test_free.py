"Free for commercial use: the chain that the policy picks, and parts fitted on footage of one's own"
import json
import numpy as np, pytest
from lipsync_kit import lipsync
from lipsync_kit.audio.whisper import has_whisper
from lipsync_kit.core import Audio, KitError
from lipsync_kit.motion.audio2motion import free_motion_model, speech_to_motion
from lipsync_kit.motion.basis import data_file, load_basis
from lipsync_kit.motion.track import MotionTrack
from lipsync_kit.speech.tts import speak

PHOTO = data_file('astronaut.jpg')

@pytest.fixture(scope='module')
def said(): return speak('Mama bought a big boat.')

def test_the_policy_picks_what_is_free(said, tmp_path):
    r = lipsync(PHOTO, said.audio, out=tmp_path/'a.mp4', size=256, policy='commercial')
    assert all(l.commercial for l in r.licences)
    assert r.motion.basis == 'anatomy' and 'anatomy-basis' in r.motion.sources and 'face-basis' not in r.motion.sources
    assert len([n for n in r.warnings if n.startswith('policy commercial: ')]) == 1
    assert f'motion model: {free_motion_model()}' in r.warnings

def test_the_environment_asks_for_it_too(said, tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_POLICY', 'commercial')
    from lipsync_kit.pipe.plan import plan
    p = plan(PHOTO, said.audio, size=256)
    assert any(n.startswith('policy commercial') for n in p.trouble)
    from lipsync_kit.live.session import open_session
    session = open_session(PHOTO, size=256)
    assert session.stream.basis == 'anatomy' and session.stream.note == f'motion model: {free_motion_model()}'

def test_what_is_not_free_is_refused(said, tmp_path):
    with pytest.raises(KitError, match='forbids motion model, fitted on research clips'):
        lipsync(PHOTO, said.audio, policy='commercial', motion_model='mel')
    with pytest.raises(KitError, match='forbids face basis, fitted on research clips .*, take basis=anatomy'):
        lipsync(PHOTO, said.audio, policy='commercial', basis='fitted')
    with pytest.raises(KitError, match='forbids'): lipsync(PHOTO, said.audio, policy='commercial', model='gaussian')

def test_somebodys_own_blendshapes_are_free(said, tmp_path):
    track = speech_to_motion(said.audio, phonemes=said.phonemes, motion_model='rules')
    facts = json.loads(track.save(tmp_path/'a.json', lips=False).read_text())
    (tmp_path/'b.json').write_text(json.dumps({k: v for k, v in facts.items() if k not in ('sources', 'notes', 'basis')}))
    r = lipsync(PHOTO, said.audio, motion=tmp_path/'b.json', out=tmp_path/'b.mp4', size=256, policy='commercial')
    assert r.motion.basis == 'anatomy' and all(l.commercial for l in r.licences)
    with pytest.raises(KitError, match='forbids'): lipsync(PHOTO, said.audio, motion=track, policy='commercial')

@pytest.mark.parametrize('ext', ['json', 'csv'])
def test_a_track_keeps_its_basis(said, tmp_path, ext):
    track = speech_to_motion(said.audio, phonemes=said.phonemes, motion_model='rules', basis='anatomy')
    back = MotionTrack.load(track.save(tmp_path/f'a.{ext}'))
    assert back.basis == 'anatomy' and np.abs(back.lips - track.lips).max() < .01

def test_both_bases_draw_the_same_opening():
    for basis in map(load_basis, ('fitted', 'anatomy')):
        lips = basis.opened(np.eye(6), np.full(6, .15))
        assert np.abs(basis.aperture(lips) - .15).max() < 1e-5

@pytest.mark.skipif(not has_whisper(), reason='the model needs the encoder of Whisper')
def test_the_synthetic_model_follows_a_voice(said):
    track = speech_to_motion(said.audio, 50, motion_model='synthetic')
    rules = speech_to_motion(said.audio, 50, said.phonemes, 'rules')
    assert np.corrcoef(track.mouth_open, rules.mouth_open)[0, 1] > .6
    quiet = speech_to_motion(Audio(np.zeros(32000), 16000), motion_model='synthetic')
    assert quiet.mouth_open.max() < .02

# footage of one's own

@pytest.fixture(scope='module')
def footage(tmp_path_factory):
    "Three clips of the drawn photograph that speaks, and one of each thing that can't be used"
    from lipsync_kit.media.write import Writer
    from lipsync_kit.metrics.synthetic import talking_face
    folder = tmp_path_factory.mktemp('footage')
    texts = 'Pam may buy a blue mop, and Bob a map.', 'We all saw how far the bus had gone by noon.', 'Papa bought five apple pies at the market.'
    for i, text in enumerate(texts):
        s = speak(text, seed=i)
        track = speech_to_motion(s.audio, 25, s.phonemes, 'rules', idle=False)
        talking_face(folder/f'good{i}.mp4', s.audio, track=track, size=256)
    talking_face(folder/'silent.mp4', Audio(np.zeros(48000), 16000), track=MotionTrack(25, np.zeros((75, 6)), np.zeros((75, 52)), [0.]*75), size=256)
    with Writer(folder/'grey.mp4', 128, 128, audio=s.audio) as w:
        for _ in range(60): w.write(np.full((128, 128, 3), 90, np.uint8))
    (folder/'broken.mp4').write_bytes(b'no video')
    (folder/'notes.txt').write_text('not a clip')
    return folder

@pytest.fixture(scope='module')
def own(footage, tmp_path_factory):
    from lipsync_kit.motion.fit import TrainingOptions
    from lipsync_kit.motion.own import fit_own
    out = tmp_path_factory.mktemp('own')/'me.fit'
    return fit_own(footage, out, 'ours alone', True, 'mel', TrainingOptions(width=16, steps=30))

def test_every_clip_has_a_verdict(own):
    found = {v.name: v for v in own.verdicts}
    assert [found[f'good{i}'].kept for i in range(3)] == [True] * 3, found
    reasons = {k: v.reason for k, v in found.items() if not v.kept}
    assert set(reasons) == {'silent', 'grey', 'broken'}
    assert 'voice' in reasons['silent'] and 'face in 0 frames' in reasons['grey'] and 'broken.mp4' in reasons['broken']
    assert set(own.scores) == {'good0', 'good1', 'good2'} and 'anatomical' in own.notes[0]
    assert 'kept    good0' in str(own) and 'dropped silent' in str(own) and 'ours alone (commercial use)' in str(own)

def test_what_was_fitted_is_used(own, said, tmp_path):
    r = lipsync(PHOTO, said.audio, out=tmp_path/'a.mp4', size=256, motion_model=str(own.path), policy='commercial')
    mine = [l for l in r.licences if 'me.fit' in l.part]
    assert [(l.licence, l.commercial) for l in mine] == [('ours alone', True)]
    assert r.motion.basis == str(own.path) and not {'face-basis', 'motion-model'} & set(r.motion.sources)
    assert 'motion model: me.fit' in r.warnings

def test_a_licence_that_forbids_it_is_kept_to(own, said):
    from lipsync_kit.motion.network import model_file
    from lipsync_kit.motion.own import save_own
    private = own.path.with_name('private.fit')
    save_own(model_file(own.path), load_basis(own.path), private, 'not stated', False)
    with pytest.raises(KitError, match='forbids private.fit'):
        lipsync(PHOTO, said.audio, motion_model=str(private), policy='commercial')

def test_the_command_says_it_all(footage, tmp_path, capsys):
    from lipsync_kit.cli.main import run
    assert run(['fit', str(tmp_path/'nowhere'), '-q']) == 2 and 'not a folder' in capsys.readouterr().err
    assert run(['fit', str(footage), '-o', str(tmp_path/'me.zip'), '-q']) == 2 and 'must end in .fit' in capsys.readouterr().err
    alone = tmp_path/'alone'
    alone.mkdir()
    (alone/'a.mp4').write_bytes((footage/'good0.mp4').read_bytes())
    assert run(['fit', str(alone), '-o', str(tmp_path/'a.fit'), '-q']) == 2
    assert '1 clips that can be used' in capsys.readouterr().err and not list(tmp_path.glob('a.fit*'))
    (tmp_path/'bad.fit').write_text('hello')
    with pytest.raises(KitError, match='no safetensors file'): speech_to_motion(speak('Hi').audio, motion_model=tmp_path/'bad.fit')
