"Protocols from elsewhere, cuts that depend on their protocol, clips of one name"
import json
from dataclasses import asdict, replace
import numpy as np, pytest
from lipsync_kit.benchmark import cut_take, load_protocol, make_protocol, run_id
from lipsync_kit.core import Audio, KitError
from lipsync_kit.media.probe import probe
from lipsync_kit.media.write import Writer

def video(path, seconds=3, shade=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = Audio(np.random.default_rng(shade).normal(0, .1, 16000 * seconds).astype(np.float32), 16000)
    with Writer(path, 64, 48, 25, sound) as w:
        for i in range(25 * seconds): w.write(np.full((48, 64, 3), shade, np.uint8), i / 25)
    return path

@pytest.fixture(scope='module')
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp('media')
    for i, person in enumerate(('ann', 'bob')): video(folder/person/'1.mp4', shade=60 + 90 * i)
    return folder

def test_two_clips_of_one_file_name_are_two_clips(media):
    p = make_protocol(media)
    assert [t.name for t in p.takes] == ['ann_1', 'bob_1'] and len({t.person for t in p.takes}) == 2

def test_a_cut_has_the_length_of_its_protocol(media, tmp_path):
    p = make_protocol(media, seconds=2.)
    for seconds, start in ((2., 0.), (1., 0.), (1., .5), (2., 0.)):
        q = replace(p, seconds=seconds, takes=(replace(p.takes[0], start=start), p.takes[1]))
        assert float(probe(cut_take(q, q.takes[0], media, tmp_path)).duration) == pytest.approx(seconds, abs=.05)
    assert len(list((tmp_path/'takes').iterdir())) == 3       # the first one was used again

@pytest.mark.parametrize('change, reason', [
    (dict(name='../../x'), "can't be used for file names"), (dict(name='/tmp/x'), "can't be used for file names"),
    (dict(file='../secret.mp4'), 'not below the folder'), (dict(file='/etc/passwd'), 'not below the folder'),
    (dict(person='../x'), "can't be used for file names"), (dict(name='bob_1'), 'two clips called'), (dict(start=-1), 'start of'),
])
def test_a_protocol_file_cannot_lead_elsewhere(media, tmp_path, change, reason):
    d = json.loads(json.dumps(asdict(make_protocol(media))))
    d['takes'][0].update(change)
    (tmp_path/'p.json').write_text(json.dumps(d))
    with pytest.raises(KitError, match=reason): load_protocol(tmp_path/'p.json')

def test_motion_models_count_by_content(media, tmp_path):
    p = make_protocol(media)
    (tmp_path/'ann_1.safetensors').write_bytes(b'first')
    before = run_id(p, {}, tmp_path)
    (tmp_path/'ann_1.safetensors').write_bytes(b'again')
    assert run_id(p, {}, tmp_path) != before

def test_the_protocol_of_the_package_is_valid():
    p = load_protocol('media')
    assert len(p.takes) > 20 and all(len(t.sha256) == 64 for t in p.takes)
