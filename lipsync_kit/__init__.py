"lipsync_kit: an image or a video, plus speech or text, becomes a talking head"
from importlib import import_module

__version__ = '0.1.0'
_HOMES = dict(lipsync='pipe.run', process='pipe.run', plan='pipe.plan', stream='live.session', Result='pipe.result', Options='pipe.options', KitError='core', Audio='core',
              MotionTrack='motion.track', speak='speech.tts', read_mark='media.provenance', verify='trust.verify', speech_to_motion='motion.audio2motion', evaluate='metrics.evaluate', compare='metrics.compare')
__all__ = sorted(_HOMES)

def __getattr__(name):
    "Imported from its page when first used, so that `import lipsync_kit` costs nothing"
    if name not in _HOMES: raise AttributeError(f"module 'lipsync_kit' has no attribute {name!r}")
    return getattr(import_module(f'lipsync_kit.{_HOMES[name]}'), name)

def __dir__(): return sorted(set(globals()) | set(_HOMES))
