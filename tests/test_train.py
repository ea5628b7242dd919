"Training on a generated clip: goes on bit for bit, loses nothing, and leaves a folder that talks."
import json, os, signal, subprocess, sys
from pathlib import Path
from types import SimpleNamespace
import av, numpy as np, pytest
pytest.importorskip('webdataset'), pytest.importorskip('accelerate')
import torch
import lipsync_kit
from lipsync_kit.cli.main import run
from lipsync_kit.core import KitError
from lipsync_kit.live.avatar import Avatar
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_image
from lipsync_kit.models.contract import model_card
from lipsync_kit.pipe.run import lipsync
from lipsync_kit.speech.tts import speak
from lipsync_kit.metrics import reference
from lipsync_kit.metrics.metric import Value
from lipsync_kit.train import losses, stages, trainer, validate
from lipsync_kit.train.example_set import example_set
from lipsync_kit.train.options import train_options
from lipsync_kit.train.prepare import prepare
from lipsync_kit.train.state import rate_at, read_checkpoint
from lipsync_kit.train.stages import batches, stage_data
from lipsync_kit.train.trainer import Trainer
from lipsync_kit.train.dataset import Clips
from test_avatar import filmed

TEXT = 'How about an apple, a plum, or a wide open mouth? We saw many old friends there.'
TINY = dict(width=8, batch=2, validate=100, device='cpu', seed=3)
ALL = 'judges:1, sync:1, generator:1, together:1, unmasked:1'

@pytest.fixture(scope='module', autouse=True)
def one_thread():
    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)

@pytest.fixture(scope='module')
def photo(): return read_image(Path(lipsync_kit.__file__).parent/'data'/'astronaut.jpg').image[:330, 60:390]

@pytest.fixture(scope='module')
def data(tmp_path_factory, photo):
    folder = tmp_path_factory.mktemp('videos')
    filmed(folder/'ann.mp4', speak(TEXT).audio, photo, fps=25, seconds=4)
    return str(prepare(folder, tmp_path_factory.mktemp('out')/'shards', size=128, sharp=0, licence='CC0', consent='a photograph').folder)

def made(data, out, **more): return Trainer(train_options(data=data, out=str(out), **TINY | more))

def last(out): return read_checkpoint(sorted((Path(out)/'checkpoints').glob('*.safetensors'))[-1])

class Stop(Exception): pass

def stopping(after):
    "Progress that stops the training after a step, as Ctrl-C would"
    def told(p):
        if not p.note and p.stage.startswith('learning: ') and round(p.done * 12) == after: raise Stop
    return told

def test_resumed_equals_uninterrupted(data, tmp_path):
    made(data, tmp_path/'a', steps=12, recipe=ALL).run()
    for at in 1, 3, 6, 8, 11:       # in each stage
        with pytest.raises(Stop): Trainer(train_options(data=data, out=str(tmp_path/'b'), steps=12, recipe=ALL, **TINY), stopping(at)).run()
    left = tmp_path/'b'/'checkpoints'/'.step-00000011.0123456789abcdef.safeten'       # what kill -9 leaves: half a checkpoint,
    whole = sorted(left.parent.iterdir())[-1]
    for p in left, left.with_name('step-00000012.safetensors'): p.write_bytes(whole.read_bytes()[:100_000])
    with open(tmp_path/'b'/'metrics.jsonl', 'a') as f: f.write('{"step": 11, "lo')         # and half a line
    made(data, tmp_path/'b', steps=12, recipe=ALL).run()
    assert not left.exists()
    (_, a), (_, b) = last(tmp_path/'a'), last(tmp_path/'b')
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    lines = [json.loads(l) for l in (tmp_path/'b'/'metrics.jsonl').read_text().splitlines()]
    assert [l['step'] for l in lines] == sorted(l['step'] for l in lines)

def test_another_training_is_not_mixed_in(data, tmp_path):
    made(data, tmp_path/'a', steps=2, recipe='judges:1, generator:1').run()
    with pytest.raises(KitError, match='holds another training'): made(data, tmp_path/'a', steps=2, recipe='judges:1, generator:1', batch=4)
    made(data, tmp_path/'a', steps=2, recipe='judges:1, generator:1', batch=4, resume=False)

def test_a_training_begins_with_a_trained_model(data, tmp_path):
    made(data, tmp_path/'a', steps=4, recipe='generator:1', width=16).run()
    card = json.loads((tmp_path/'a'/'card.json').read_text())
    (tmp_path/'a'/'card.json').write_text(json.dumps(card | dict(licence='CC-BY-NC-4.0', commercial=False)))
    with pytest.raises(KitError, match='its width is 16, here it is 8'): made(data, tmp_path/'b', base=str(tmp_path/'a'))
    t = made(data, tmp_path/'b', base=str(tmp_path/'a'), steps=2, recipe='generator:1', width=16)
    base = trainer.Painter.load(tmp_path/'a', 'cpu')
    assert all(torch.equal(v, t.state.average[f'generator.{k}']) for k, v in base.generator.state_dict().items())
    t.run()
    found = json.loads((tmp_path/'b'/'card.json').read_text())
    assert 'began with a model trained here on 1 person' in found['about'] and found['base']['licence'] == 'CC-BY-NC-4.0'
    assert found['licence'] == 'CC-BY-NC-4.0 and CC0' and not found['commercial'] and 'base' not in found['config']

def test_a_loss_that_is_no_number_stops_with_its_batch(data, tmp_path, monkeypatch):
    t = made(data, tmp_path/'a', steps=6, recipe='generator:1')
    real = stages.reconstruction_loss
    monkeypatch.setattr(stages, 'reconstruction_loss', lambda y, x: real(y, x) * (float('nan') if t.state.step == 3 else 1))
    with pytest.raises(KitError, match='^reconstruction is not a number at step 3; the batch is in .*; there is no checkpoint yet'): t.run()
    from safetensors.torch import load_file
    assert load_file(tmp_path/'a'/'bad-batch-00000003.safetensors')['frames'].shape[0] == 2
    assert not (tmp_path/'a'/'card.json').exists()

def test_a_full_disk_is_noted_and_the_training_goes_on(data, tmp_path, monkeypatch):
    import safetensors.torch
    real, said, fail = safetensors.torch.save_file, [], [True]
    def full(*a, **k):        # as safetensors says it
        if fail[0]: raise RuntimeError('Error while serializing: I/O error: No space left on device (os error 28)')
        real(*a, **k)
    monkeypatch.setattr(safetensors.torch, 'save_file', full)
    how = dict(steps=4, recipe='judges:1, generator:1')
    t = made(data, tmp_path/'a', **how)
    t.progress = lambda p: said.append(p.note)
    with pytest.raises(KitError, match="can't write .*model.safetensors: No space left on device"): t.run()     # the model itself
    assert sum('no checkpoint at step' in s for s in said) == 2 and not (tmp_path/'a'/'card.json').exists()
    assert not [p for p in (tmp_path/'a').rglob('*.safetensors')]
    fail[0] = False
    made(data, tmp_path/'a', **how).run()
    assert last(tmp_path/'a')[0]['step'] == 4

def test_a_reader_that_is_killed_is_replaced(data):
    o = train_options(data=data, **TINY)
    d = stage_data('judges', Clips(data), o, False)
    want = [b['frames'] for b in batches(d, 0, 4)]
    mark, inner = Path(data)/'mark', type(d.data).__getitem__
    class Killed(type(d.data)):
        def __getitem__(self, i):
            if i == 4 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return inner(self, i)
    d.data.__class__ = Killed
    got = [b['frames'] for b in batches(d, 0, 4, workers=1)]
    assert mark.exists() and len(got) == 4 and all(torch.equal(a, b) for a, b in zip(want, got))

@pytest.mark.parametrize('kind', ['lips', 'sound'])
def test_a_trained_folder_talks(data, tmp_path, photo, kind):
    (tmp_path/'c.yaml').write_text(f'data: {data}\ngenerator: {kind}\nsteps: 4\nwidth: 8\nbatch: 2\nencoder: cnn\ndevice: cpu\n')
    assert run(['train', str(tmp_path/'c.yaml'), '--out', str(tmp_path/'me'), '-q']) == 0
    card = json.loads((tmp_path/'me'/'card.json').read_text())
    assert card['data']['licences'] == ['CC0'] and card['data']['consents'] == ['a photograph'] and card['commercial']
    assert 'people that it learned from' in card['about'] and model_card(str(tmp_path/'me')).settings is not None
    made = lipsync(photo, speak('Hello there.').audio, out=tmp_path/'talk.mp4', model=str(tmp_path/'me'), size=256)
    assert probe(tmp_path/'talk.mp4').n_frames > 10 and any('trained here on 1 person' in w for w in made.warnings)
    avatar, speech = Avatar(photo, str(tmp_path/'me'), size=256), speak('Hello there.').audio            # and live: at rest, speaking, interrupted
    rest = [avatar.next() for _ in range(3)]
    avatar.push_audio(speech.samples, speech.rate)
    spoken = [avatar.next() for _ in range(10)]
    assert abs(avatar.clear_buffer() - .4) <= .02 and spoken[-1][1].heard and avatar.next()[1].heard is None
    images = [g[0].image for g in rest + spoken]
    assert all(i.shape == images[0].shape for i in images) and (images[-1] != images[0]).any() and [g[0].time * 25 for g in rest + spoken] == list(range(13))
    avatar.close()

def test_a_batch_is_learned_by_heart_and_a_clip_is_drawn(data, tmp_path):
    t = made(data, tmp_path/'a', steps=150, recipe='generator:1', width=16, batch=4, augment=False, noise=0., rate=3e-3, validate=1000)
    t.run()
    found = json.loads((tmp_path/'a'/'card.json').read_text())['figures']
    assert found['psnr'] > found['held'] + 4 and found['psnr'] > found['moved'] and found['opening_r'] > .9, found
    batch = next(batches(stage_data('generator', t.clips, t.o, False), 0, 1))
    one = made(data, tmp_path/'b', steps=300, recipe='generator:1', width=16, batch=4, noise=0., perceptual=0., rate=3e-3)
    x = one.losses.inputs(batch, one.state)
    held = float(losses.reconstruction_loss(x['true'] + x['mask'] * (x['reference'] - x['true']), x))
    loss = [one.steps.step('generator', [batch], rate_at(one.o, k, 300))['reconstruction'] for k in range(300)]
    # it begins at the moved reference: .381, and .047 in the end, were measured where the held reference has .519
    assert loss[-1] < .1 * held and loss[-1] < .15 * loss[0], (held, loss[0], loss[-1])

def test_a_person_held_out_is_judged_on_a_clip_that_is_long_enough_for_every_metric(tmp_path, monkeypatch):
    data = example_set(read_image(Path(lipsync_kit.__file__).parent/'data'/'astronaut.jpg').image, tmp_path/'set', dict(Ann='train', Bob='val'), 160)
    t, seen = made(str(data), tmp_path/'a', steps=1, recipe='generator:1'), []
    def judge(video, reference, metrics):
        seen.append((probe(video).duration, probe(reference).duration))
        return SimpleNamespace(values={m: Value(.5, baselines=dict(real=.25)) for m in metrics})
    monkeypatch.setattr(validate, 'evaluate', judge)
    found = validate.evaluated(t.painter(), t.unseen)
    assert min(seen[0]) > 6 and found['mouth_learned'] == dict(people=1, drawn=.5, real=.25)     # `mouth_learned` asks for 5 s

SEEN = ('actor_selfie', 'grid_bbaf2n', 'grid_lbbc2a', 'grid_lwbsza', 'grid_pwij3p', 'grid_swiz3n', 'hdtf_aoc', 'hdtf_peterroskam0',
        'hdtf_radio13', 'hdtf_radio18', 'hdtf_radio42', 'hdtf_radio8', 'president_address_offset')
UNSEEN = 'portrait_kitchen_man', 'vfr_suit_man', 'congress_bald_man', 'news_cnn_anchor'

def begun(path, out, seconds):
    "The first seconds of a video, as they are coded"
    with av.open(str(path)) as a, av.open(str(out), 'w') as b:
        into = {s.index: b.add_stream_from_template(s) for s in a.streams if s.type in ('video', 'audio')}
        for p in a.demux():
            if p.dts is None or p.stream.index not in into or p.dts * p.time_base > seconds: continue
            p.stream = into[p.stream.index]
            b.mux(p)

def test_a_judge_of_lip_sync_knows_people_that_it_never_saw(media, tmp_path):
    folder, data = tmp_path/'videos', str(tmp_path/'shards')
    folder.mkdir()
    found = {p.stem: p for p in (media/'clips').iterdir()}
    for name in (*SEEN, *UNSEEN): begun(found[name], folder/f'{name}.mkv', 5.)      # nothing is stated: lags are found
    prepare(folder, data, val=0, test=0)
    t = Trainer(train_options(data=data, out=str(tmp_path/'judge'), device='cpu', recipe='sync:1', steps=180, validate=10_000))
    t.clips, t.unseen = Clips(data, 'train', SEEN), Clips(data, 'train', UNSEEN)
    assert len(t.clips.people) >= 11 and len(t.unseen.people) >= 3, (t.clips.people, t.unseen.people)
    t._run_stage('sync', 0, 180)
    f = t.sync_figures(n=512)
    assert f['sync'] >= .8 and abs(f['foreign'] - .5) < .1, f     # .88 and .46 were measured

def test_the_perceptual_loss_takes_what_is_there_and_says_which(tmp_path, monkeypatch):
    import types
    def said(): return losses.perceptual_loss().about
    monkeypatch.setattr(losses.Lpips, 'lacks', classmethod(lambda cls: 'it is not there'))
    monkeypatch.setattr(losses, 'torchvision_vgg', lambda: None)
    assert 'Laplacian pyramid' in said()
    heads = [torch.rand(1, c, 1, 1) for c in (64, 192, 384, 256, 256)]
    monkeypatch.setattr(losses.Lpips, 'lacks', classmethod(lambda cls: ''))
    monkeypatch.setattr(losses, 'load_lpips', lambda: reference.Perceptual(reference.alexnet_layers(), heads))
    assert said() == 'LPIPS'
    loss, a = losses.perceptual_loss(), torch.rand(2, 3, 96, 96)*2 - 1
    b = (a + .2*torch.randn_like(a)).clamp(-1, 1)
    pictures = [((x + 1)*127.5).round().byte().movedim(1, -1).numpy() for x in (a, b)]
    want = np.mean([reference.Perceptual(loss.layers, heads)(p, q) for p, q in zip(*pictures)])
    assert loss(a, a) == 0 and abs(float(loss(b, a)) - want) < .02*want      # the metric's own figure
    monkeypatch.undo()
    weights = types.SimpleNamespace(IMAGENET1K_V1=types.SimpleNamespace(url='https://x/vgg16-of-a-test.pth'))
    monkeypatch.setitem(sys.modules, 'torchvision', types.ModuleType('torchvision'))
    monkeypatch.setitem(sys.modules, 'torchvision.models', types.SimpleNamespace(VGG16_Weights=weights))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    assert losses.torchvision_vgg() is None                                  # torchvision is there, it has fetched nothing
    (tmp_path/'checkpoints').mkdir()
    torch.save({f'features.{k}': v for k, v in losses.vgg_layers().state_dict().items()}, tmp_path/'checkpoints'/'vgg16-of-a-test.pth')
    assert said() == "VGG-16's features"
    class Broken(types.ModuleType):
        def __getattr__(self, name): raise RuntimeError('operator torchvision::nms does not exist')
    monkeypatch.setitem(sys.modules, 'torchvision.models', Broken('torchvision.models'))
    assert losses.torchvision_vgg() is None                                  # made for another torch

def test_two_processes_learn_what_one_learns_from_twice_the_examples(data, tmp_path):
    how = dict(data=data, width=8, device='cpu', recipe='generator:1', steps=3, noise=0., validate=100)
    (tmp_path/'c.json').write_text(json.dumps(how | dict(batch=2, out=str(tmp_path/'two'))))
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2', '--no-python', sys.executable, '-c',
               'from lipsync_kit.cli.main import main; main()', 'train', str(tmp_path/'c.json'), '-q']
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | dict(OMP_NUM_THREADS='1'))
    assert done.returncode == 0 and done.stdout.count('is ready') == 1, done.stdout + done.stderr
    Trainer(train_options(**how, batch=4, out=str(tmp_path/'one'))).run()
    (_, a), (_, b) = last(tmp_path/'one'), last(tmp_path/'two')
    apart = [(a[k] - b[k]).abs().mean().item() for k in a if k.startswith('net.generator')]
    assert np.mean(apart) < 1e-5, apart           # Adam makes much of the rounding of single gradients
