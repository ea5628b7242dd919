"The package's basis and motion models on real people, where the clips are at hand; the pages fit synthetic ones"
import os
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.core import Audio, mouth_open
from lipsync_kit.motion.basis import data_file, load_basis, measure_motion
from lipsync_kit.motion.network import MOTION_MODELS, load_motion_network, motion_features, motion_model_card
from lipsync_kit.motion.network import predict_motion

MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).parents[2]/'shared'/'media'))
CLIPS = dict(hdtf_radio13=0., grid_lbbc2a=0.)  # name: seconds that the picture is late

def test_the_data_is_small():
    names = *MOTION_MODELS.values(), 'face_basis.safetensors', 'motion_model.json'
    assert sum(data_file(n).stat().st_size for n in names) < 2_000_000

def test_the_card_names_every_clip_and_licence():
    card = motion_model_card()
    assert card['clips'] and all(c['licence'] and c['person'] for c in card['clips'])
    assert {name: m['file'] for name, m in card['models'].items()} == MOTION_MODELS

def test_silence_is_a_still_closed_mouth():
    for sound in np.zeros(48000), np.random.default_rng(0).normal(0, 1e-4, 48000):
        said = predict_motion(load_motion_network('mel'), motion_features(Audio(sound, 16000), 'mel'))
        assert said.mouth_open.max() < .06 and said.mouth_open.std() < .02

@pytest.fixture(scope='module', params=CLIPS)
def clip(request):
    found = list((MEDIA/'clips').glob(f'{request.param}.*')) if MEDIA.exists() else []
    if not found: pytest.skip(f'the clips are not at {MEDIA}; set LIPSYNC_MEDIA')
    from lipsync_kit.media.read import read_audio
    from lipsync_kit.motion.clips import analyse_source
    return *analyse_source(found[0]), read_audio(found[0]), CLIPS[request.param]

def test_measured_lips_carry_the_aperture(clip):
    talk, times, audio, lag = clip
    m = measure_motion(talk.points, talk.blendshapes)
    assert m.seen.all() and np.corrcoef(m.mouth_open, mouth_open(talk.points))[0, 1] > .98
    assert np.corrcoef(load_basis().aperture(m.lips), m.mouth_open)[0, 1] > .98

@pytest.mark.parametrize('encoder,least', [('whisper', .6), ('mel', .5)])
def test_a_motion_model_follows_people(clip, encoder, least):
    "On people from its training clips: a check that the parts fit together; the fair figures are on the card"
    from lipsync_kit.audio.whisper import has_whisper
    from lipsync_kit.motion.clips import rows
    from lipsync_kit.motion.fit import score
    if encoder == 'whisper' and not has_whisper(): pytest.skip('Whisper is not installed')
    talk, times, audio, lag = clip
    features = motion_features(audio, encoder)
    predicted = predict_motion(load_motion_network(encoder), features)
    s = score(*predicted, rows(talk, times, features, 'clip', 'person', lag))
    assert s.aperture > least and s.lmd < s.still and .5 < s.amplitude < 2
