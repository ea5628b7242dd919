"Who speaks when: files of turns, whose lips are drawn, what stays as it is."
from fractions import Fraction
from pathlib import Path
import numpy as np, pytest
from lipsync_kit import KitError, lipsync
from lipsync_kit.core import Audio
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.media.write import Writer
from lipsync_kit.pipe import dub_speakers, prepare as preparing
from lipsync_kit.pipe.lips import known_turns, lips_of, placed
from lipsync_kit.pipe.options import job_schema, make_options
from lipsync_kit.pipe.source import resized
from lipsync_kit.pipe.speakers import found_turns, watch, who_speaks
from lipsync_kit.speech.turns import Seen, SpeakerTurns, Turn, load_turns

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
DATA = Path(__file__).parent/'data'
MEDIA = Path(__file__).parent.parent.parent/'shared'/'media'/'clips'
RATE = 16_000

def noise(seconds): return Audio((.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32), RATE)

@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    "A second and a half of the same face twice, side by side, with noise for sound"
    path, image = tmp_path_factory.mktemp('pair')/'pair.mp4', read_image(PHOTO).image
    image = resized(image, 256 / max(image.shape[:2]))[:256 // 2 * 2]
    image = image[:image.shape[0] // 2 * 2, :image.shape[1] // 2 * 2]
    both = np.hstack([image, image])
    with Writer(path, both.shape[1], both.shape[0], 12, audio=noise(1.5), crf=4) as w:
        for _ in range(18): w.write(both)
    return path

def seen(*names):
    t = np.arange(0, 3, .2)
    return tuple(Seen(n, np.stack([t, 0 * t + x, 0 * t + .4, 0 * t + .3], 1)) for n, x in names)

def middle(path):
    "Where the two faces are, as shares of the picture"
    from lipsync_kit.faces.detect import detect_faces
    image = next(read_frames(path)).image
    h, w = image.shape[:2]
    return sorted(tuple(f.points[:, :2].mean(0) / (w, h)) for f in detect_faces(image, None))

def test_only_the_speaker_gets_lips_and_only_then(pair, tmp_path):
    (x0, y0), (x1, y1) = middle(pair)
    t = np.arange(0, 2, .2)
    people = tuple(Seen(n, np.stack([t, 0 * t + x, 0 * t + y, 0 * t + .3], 1)) for n, x, y in (('anna', x0, y0), ('ben', x1, y1)))
    turns = SpeakerTurns((Turn(.3, .6, 'ben'), Turn(.9, 1.2, 'anna', seen=False)), people)
    turns.save(tmp_path/'who.json')
    r = lipsync(pair, noise(1.5), out=tmp_path/'out.mp4', speakers=str(tmp_path/'who.json'), crf=4, mark='tag', motion_model='rules')
    change = []
    for a, b in zip(read_frames(pair), read_frames(r.path)):
        d = np.abs(a.image.astype(int) - b.image).max(-1)
        change.append((float(a.time), d[:, :d.shape[1] // 2].max(), d[:, d.shape[1] // 2:].max()))
    inside = [c for c in change if .25 < c[0] < .65]
    outside = [c for c in change if not .15 < c[0] < .75]
    assert max(c[2] for c in inside) > 60 and max(c[1] for c in change) < 40      # coding alone on the left
    assert max(c[2] for c in outside) < 40                # a narrator moves no lips
    assert any('who speaks: ben' in n for n in r.warnings)

def test_frames_without_a_speaker_are_the_source(pair, tmp_path, monkeypatch):
    "Before encoding, to the bit"
    from lipsync_kit.pipe import run
    written = []
    real = run.write_frames
    def tap(frames, *rest): return real((written.append(f[0]) or f for f in frames), *rest)
    monkeypatch.setattr(run, 'write_frames', tap)
    SpeakerTurns((Turn(.5, .8, 'ben', seen=False),), seen(('anna', .25))).save(tmp_path/'who.json')
    lipsync(pair, noise(1.5), out=tmp_path/'out.mp4', speakers=str(tmp_path/'who.json'), mark='tag', motion_model='rules')
    for a, f in zip(read_frames(pair), written, strict=True): assert np.array_equal(a.image, np.asarray(f.pixels))

def test_names_of_sync_services():
    modes = dict(bounce='speech', loop='loop', remap='stretch', cut_off='trim', silence='freeze')
    assert {k: make_options(sync_mode=k).fit for k in modes} == modes
    assert set(modes) <= set(job_schema()['properties']['sync_mode']['enum'])
    with pytest.raises(KitError, match='the same option'): make_options(sync_mode='loop', fit='loop')
    with pytest.raises(KitError, match='bounce'): make_options(sync_mode='bounces')
    with pytest.raises(KitError, match="needs the point of the face"):
        lipsync(np.zeros((64, 64, 3), np.uint8), noise(.5), speaker_selection='coordinates')
    with pytest.raises(KitError, match='auto-detect'): make_options(speaker_selection='auto')

def test_a_batch_takes_the_names_of_sync_services(tmp_path):
    from lipsync_kit.batch.table import read_jobs
    (tmp_path/'a.png').write_bytes(PHOTO.read_bytes())
    (tmp_path/'jobs.csv').write_text('face,text,sync_mode,out\na.png,Hi,cut_off,a.mp4\n')
    (job,) = read_jobs(tmp_path/'jobs.csv')
    assert not job.wrong and job.args['fit'] == 'trim'

def test_nobody_speaks_in_noise(pair):
    assert who_speaks(pair).notes == ('nobody speaks in the sound',)
    assert not found_turns([], noise(1.)).turns
    with pytest.raises(KitError, match='is no video'): who_speaks(PHOTO)

def test_turns_of_another_video(pair, tmp_path):
    (tmp_path/'a.rttm').write_text('SPEAKER x 1 60.0 2.0 <NA> <NA> anna <NA> <NA>\n')
    with pytest.raises(KitError, match='belongs to another video'): known_turns(pair, tmp_path/'a.rttm')
    (tmp_path/'b.rttm').write_text('SPEAKER x 1 0.1 1.0 <NA> <NA> anna <NA> <NA>\n')
    with pytest.raises(KitError, match="'bill', who does not speak"): known_turns(pair, tmp_path/'b.rttm', 'bill=0')
    with pytest.raises(KitError, match='2 people are seen'): known_turns(pair, tmp_path/'b.rttm', 'anna=7')
    found = known_turns(pair, tmp_path/'b.rttm', 'anna=1')
    assert found.turns[0].seen and found.person('anna').places[0, 1] > .5
    assert not known_turns(pair, tmp_path/'b.rttm', 'anna=off').turns[0].seen

def test_a_voice_map_names_somebody_who_speaks(pair, tmp_path):
    (tmp_path/'who.rttm').write_text('SPEAKER x 1 0.1 1.0 <NA> <NA> anna <NA> <NA>\n')
    o = make_options(speakers=str(tmp_path/'who.rttm'), speaker_map='anna=0')
    turns = dub_speakers.turns_for(pair, o, None, 'anna=hibari', tmp_path/'kept')
    assert turns.speakers == ('anna',) and len(list((tmp_path/'kept').glob('speakers-*.json'))) == 1
    with pytest.raises(KitError, match="voice map names 'ben'"): dub_speakers.turns_for(pair, o, None, 'ben=hibari', tmp_path/'kept')
    with pytest.raises(KitError, match='hibary'): dub_speakers.turns_for(pair, o, None, 'anna=hibary')

def test_labels_are_turns():
    assert {p.stem: load_turns(p).speakers for p in DATA.glob('*.rttm')}.keys() == {'interview_two_faces', 'debate_two_faces', 'debate_ca_1'}

@pytest.mark.skipif(not MEDIA.is_dir(), reason='no recordings of people here')
def test_the_one_who_answers_is_heard_and_seen():
    "Three seconds in which the left asks to go on and the right answers"
    from lipsync_kit.hub.cards import available
    if not available('resemblyzer'): pytest.skip('no weights that tell voices apart')
    from lipsync_kit.media.read import read_audio
    clip = MEDIA/'interview_two_faces.mp4'
    def frames(): yield from (f._replace(time=f.time - Fraction(8)) for f in read_frames(clip, 8, 12))
    turns = found_turns(watch(frames()), read_audio(clip).cut(8, 12))
    assert turns.of(.3, 1.).speaker == 'person2' and turns.of(3.3, 3.9).speaker == 'person2'
    assert turns.of(2.45, 2.75).speaker == 'person1'
