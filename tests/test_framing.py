"A still is cut around the person, in every door: Python, command line, batch, plan, schema, configuration file."
from fractions import Fraction
import cv2, numpy as np, pytest
from lipsync_kit import KitError, lipsync, plan
from lipsync_kit.cli.main import run
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_image
from lipsync_kit.media.write import Writer, write_image
from lipsync_kit.pipe.options import Options, job_schema, make_options
from lipsync_kit.pipe.source import open_source
from importlib.resources import files

PHOTO = str(files('lipsync_kit')/'data'/'astronaut.jpg')
SPEECH = np.zeros(4000, np.float32), 16000

def size(path): c = probe(path); return c.width, c.height

def test_schema_lists_frames():
    props = job_schema()['properties']
    assert props['frame']['enum'] == ['picture', 'face', 'head', 'half', 'full'] and props['aspect']['enum'] == ['auto', '9:16', '1:1', '16:9']

def test_python_and_plan_agree(tmp_path):
    r = lipsync(PHOTO, SPEECH, frame='head', aspect='9:16', out=tmp_path/'a.mp4')
    w, h = size(r.path)
    assert abs(w / h - 9 / 16) < .01 and w < 512 and r.size == (w, h)
    assert plan(PHOTO, SPEECH, frame='head', aspect='9:16').size == (w, h)

def test_command_line(tmp_path, capfd):
    from lipsync_kit.core import Audio
    import soundfile
    soundfile.write(tmp_path/'s.wav', *SPEECH)
    assert run(['talk', PHOTO, str(tmp_path/'s.wav'), '--frame', 'face', '-o', str(tmp_path/'b.mp4'), '-q']) == 0
    w, h = size(tmp_path/'b.mp4')
    assert w == h < 250
    assert run(['talk', PHOTO, str(tmp_path/'s.wav'), '--frame', 'nose', '-o', str(tmp_path/'c.mp4')]) == 2
    assert 'no frame is called' in capfd.readouterr().err and not (tmp_path/'c.mp4').exists()

def test_batch_column(tmp_path):
    import soundfile
    from lipsync_kit.batch.run import run_batch
    soundfile.write(tmp_path/'s.wav', *SPEECH)
    (tmp_path/'jobs.csv').write_text(f'face,audio,frame,aspect\n{PHOTO},s.wav,head,1:1\n')
    assert run_batch(tmp_path/'jobs.csv', tmp_path/'out').ok
    made, = (tmp_path/'out').rglob('*.mp4')
    assert size(made)[0] == size(made)[1] < 300

def test_a_picture_is_processed_and_cut(tmp_path):
    from lipsync_kit.pipe.run import process
    r = process(PHOTO, 'sharpen', tmp_path/'p.png', frame='head')
    assert read_image(r.path).image.shape[:2] == r.size[::-1] and r.size[0] < 300

def test_a_video_keeps_its_frame(tmp_path):
    with Writer(tmp_path/'v.mp4', 64, 64, 25) as w:
        for i in range(3): w.write(np.zeros((64, 64, 3), np.uint8), Fraction(i, 25))
    with pytest.raises(KitError, match='is a video, which keeps its frame'): open_source(tmp_path/'v.mp4', Options(frame='head'))

@pytest.mark.parametrize('k', [.3, 1., 5.])
def test_heads_of_any_size_fill_the_frame_alike(k, tmp_path):
    "A large photograph gives the head at its own resolution, never enlarged"
    photo = cv2.resize(read_image(PHOTO).image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_CUBIC)
    s = open_source(photo, make_options(frame='head'))
    share = s.faces[0].iod / s.image.shape[0]
    assert abs(share - .186) < .02 and abs(s.image.shape[0] - 226 * k) < .06 * 226 * k

def test_turned_photo(tmp_path):
    "Of a picture that is stored on its side, the upright one is cut"
    from PIL import Image
    im, exif = Image.open(PHOTO).rotate(90, expand=True), Image.Exif()
    exif[0x112] = 6
    im.save(tmp_path/'t.jpg', exif=exif)
    s = open_source(tmp_path/'t.jpg', Options(frame='head'))
    assert abs(s.faces[0].pose[2]) < 10 and s.image.shape[0] == s.image.shape[1]

def test_the_demo_shows_a_head_that_opens_closes_and_rounds_its_mouth(tmp_path, monkeypatch):
    from lipsync_kit.faces.detect import landmarks
    from lipsync_kit.media.read import read_frames
    made = {}
    import lipsync_kit.pipe.run as module
    def kept(*a, **k): made['r'] = lipsync(*a, **k); return made['r']
    monkeypatch.setattr(module, 'lipsync', kept)
    assert run(['demo', '-o', str(tmp_path/'demo.mp4'), '-q']) == 0
    first = next(iter(read_frames(tmp_path/'demo.mp4'))).image
    face = landmarks(first)
    assert first.shape == (512, 512, 3) and face.box[3] - face.box[1] > 200
    track = made['r'].motion
    assert track.mouth_open.max() > .15 and (track.mouth_open < .01).mean() > .1      # inter-ocular distances
    assert track.lips[:, 1].min() < -.6 and track.lips[:, 1].max() > .3                # rounded and spread
