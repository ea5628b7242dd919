"Every way to run a network against what the original networks answer on synthetic numbers."
import os, subprocess, sys
from importlib.util import find_spec
import pytest, torch
from lipsync_kit.onnx_export import OnnxRunner, export_model
from lipsync_kit.nn.runner import Runner, cpp_compiler
from lipsync_kit.faces.s3fd import S3FD, s3fd_input
from lipsync_kit.nn.wav2lip import COMPRESSED, ORIGINAL, Wav2Lip
from golden import close, loaded
from test_golden_s3fd import frames_of
from test_golden_wav2lip import inputs, strided

EXACT = dict(wav2lip=2e-6, lrs3_wav2lip=2e-6, nota_wav2lip=1e-6)   # of a picture in 0..1, as the references ask; measured 2.4e-7 and 1.2e-7
NARROW = dict(bfloat16=6e-3, float16=1e-3)   # numbers of 8 and 11 bits; measured on a CPU 3.2e-3 and 4e-4, of which rounding the picture alone is 2e-3 and 2.5e-4
CASES = 'c0', 'c1', 'c2'

@pytest.fixture(scope='module', params=EXACT)
def wav2lip(request, tmp_path_factory):
    name = request.param
    return (name, *loaded(name, Wav2Lip(COMPRESSED if name == 'nota_wav2lip' else ORIGINAL), tmp_path_factory.mktemp('golden')))

@pytest.fixture(scope='module')
def compressed(tmp_path_factory): return loaded('nota_wav2lip', Wav2Lip(COMPRESSED), tmp_path_factory.mktemp('golden'))

@pytest.fixture(scope='module')
def s3fd(tmp_path_factory): return loaded('s3fd', S3FD(), tmp_path_factory.mktemp('golden'))

def agree(draw, cases, atol, which=CASES):
    "Does `draw` answer the cases"
    for c in which:
        want = cases[f'{c}_out']
        close(strided(draw(*inputs(c, cases[f'{c}_seed'])), want), want, atol)

def exported(name, net, kind, folder):
    "The cases called `name`, and their checkpoint as an ONNX file, ready to be called"
    if not all(map(find_spec, ('onnx', 'onnxscript'))): pytest.skip("the extra [onnx] is not installed")
    cases, _ = loaded(name, net, folder)
    return cases, OnnxRunner(export_model(folder/f'{name}.pth', kind), 'cpu')

WAYS = dict(default={}, plain=dict(fold=False, channels_last=False), folded=dict(channels_last=False), one_by_one=dict(batch=1))

@pytest.mark.parametrize('way', WAYS)
def test_golden_float32(wav2lip, way):
    name, cases, net = wav2lip
    agree(Runner(net, 'cpu', **WAYS[way]), cases, EXACT[name])

def test_golden_bfloat16(wav2lip):
    name, cases, net = wav2lip
    agree(Runner(net, 'cpu', 'bfloat16'), cases, NARROW['bfloat16'])

def test_golden_float16(compressed):   # few CPUs compute with it; on the others it is slow
    cases, net = compressed
    agree(Runner(net, 'cpu', 'float16'), cases, NARROW['float16'])

@pytest.mark.parametrize('dtype', ['float32', *NARROW])
def test_golden_gpu(wav2lip, dtype):
    if not torch.cuda.is_available(): pytest.skip('no GPU that torch can use')
    name, cases, net = wav2lip
    agree(Runner(net, 'cuda', dtype), cases, NARROW.get(dtype, 1e-3))   # float32 there may be TF32

def test_golden_compiled(compressed):
    if not cpp_compiler(): pytest.skip('no C++ compiler: torch.compile cannot be tried')
    cases, net = compressed
    agree(Runner(net, 'cpu', compile=True), cases, EXACT['nota_wav2lip'], ['c0'])   # one shape, one compilation

def test_missing_compiler_is_one_message(tmp_path):
    program = "import torch; from lipsync_kit.nn.runner import Runner; Runner(torch.nn.Identity(), 'cpu', compile=True)"
    env = dict(os.environ, CXX=str(tmp_path/'none'), TORCHINDUCTOR_CACHE_DIR=str(tmp_path/'cache'))
    said = subprocess.run([sys.executable, '-c', program], env=env, capture_output=True, text=True).stderr
    assert 'KitError: torch.compile does not work here' in said and 'apt-get install g++' in said

@pytest.mark.parametrize('way', ['default', 'plain'])
def test_golden_s3fd(s3fd, way):
    cases, net = s3fd
    run = Runner(net, 'cpu', **WAYS[way])
    for c in CASES:
        for i, (cls, reg) in enumerate(run(s3fd_input(frames_of(cases, c))), 1): close(cls, cases[f'{c}_cls{i}'], 5e-5); close(reg, cases[f'{c}_reg{i}'], 5e-5)

@pytest.mark.parametrize('name, kind', [('wav2lip', 'wav2lip'), ('nota_wav2lip', 'lrs3-nota-wav2lip')])
def test_golden_onnx(name, kind, tmp_path):
    cases, run = exported(name, Wav2Lip(COMPRESSED if name == 'nota_wav2lip' else ORIGINAL), kind, tmp_path)
    agree(run, cases, EXACT[name], ['c0', 'c1'])   # c2 has a time axis, which the file has not

def test_golden_onnx_s3fd(tmp_path):
    cases, run = exported('s3fd', S3FD(), 's3fd', tmp_path)
    for c in CASES:
        heads = run(s3fd_input(frames_of(cases, c)))
        for i, (cls, reg) in enumerate(zip(heads[::2], heads[1::2]), 1): close(cls, cases[f'{c}_cls{i}'], 5e-5); close(reg, cases[f'{c}_reg{i}'], 5e-5)
