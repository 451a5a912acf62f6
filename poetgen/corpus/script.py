"""Traditional and Simplified characters, and the variants of one character.

OpenCC does the work and is imported when the first text comes. Its `t2s` leaves variants alone
that are neither Traditional nor Simplified (峯, 鴈, 隠); `to_simplified` folds those too, or a
model would learn 雁 and 鴈 as two characters. Knows nothing of poems.

Tried and dropped: folding whatever OpenCC's Japanese table knows (it takes 芸 for 藝 and 弁 for
辨, both good characters of verse); folding 祇, 著, 藉, 甯, which are two words each.
"""

import functools
from typing import Any

import numpy as np

from poetgen.errors import PoetgenError

CODE_POINTS = 0x110000

# A character of Simplified text, then the variants of it that OpenCC leaves as they are and that
# occur in the collected verse of Tang and Song. Most are in 第一批异体字整理表 (1955); the rest are
# Japanese forms and printers' forms that came in with scanned books.
_VARIANTS = """
专専 丘坵 丛樷藂 两両 丫枒 丰豊 举擧 乃廼迺 乘乗 乡郷 于扵 亩畆畞畮 仇讐 从従 仑崘 仙僊 仞仭
仿倣髣 伞繖 似佀 余馀 佛髴 佩珮 侄妷姪 俎爼 俯俛 倏倐儵 健徤 傲慠 僭僣 儿児 克尅 兔兎 兜兠
关関闗 养飬 冒冐 冗宂 写冩 冤寃 冰氷 冱沍 净浄 准凖 凡凢 凤鳯 凭凴慿 击撃 创刅剏 券劵 剃薙鬀
剑剣劒劔 剩剰賸 劫刦刧刼 勋勲 勖勗朂 勤懃 匆怱悤 协恊 博愽 卫衞 卮巵 卯夘 却郤 卷巻 厄阨 厅庁
历歴 厩廐 参叅葠 发髪 叙敍 叠曡疉 叩敂 只秖秪衹 叫呌嘂 吝恡 听聴聼 启唘 吻脗 呼嘑虖謼 和龢 咒呪
咸醎 哄閧 啮囓 啸歗 啼嗁 喑瘖 喧諠 嗥嘷 嗷嗸 囊嚢 回囘廻 囟顖 园薗 图圗 圆圎 圈圏 圬杇 圳甽 场塲
坏壊 坑阬 坞隖 垛垜 堑壍 堤隄 增増 墩墪 壤壌 壶壷 夭殀 夹裌 奁匳籢 奇竒 奔犇 奖奨 妆粧糚 妍姸
妒妬 妙玅 姊姉 娱娯 婿壻 嫩嫰 宁寕寗寜 实寔 宴醼 宽寛 宾賔 寇冦宼 富冨 尝甞 尧尭 岁歳 岩喦嵒巌
峨峩 崖厓崕 巅巓 巡廵 帙袟袠 帚箒菷 带帯 幕幙 幡旛 并併倂竝 庄荘 庞厖 庶庻 廉亷 廑厪 廛壥鄽 廿卄
强彊 彝彛彜彞 往徃 征徴 徇狥 德徳 忽曶 怀懐 怪恠 总搃緫縂 恍怳 恿惥慂 悴顇 惠恵 惭慙 愈瘉 愧媿
慑慴 慨嘅 憔顦 憩憇 懒嬾 戆戅 戏戯 戚慽 戛戞 戮勠 户戸 扬敭 抵觝 拓搨 拔抜 拖拕 拗抝 拿拏挐
挂絓罣 捏揑 捶搥 掏搯 插挿 揪揫 揭掲 搅撹 搔掻 搜捜 携擕 摇揺 攒攅 收収 效傚効 救捄 敕勅 敛歛
斋斎 斗闘鬪鬬鬭 斝斚 斫斲斵 昂昻 昆崐 明朙眀 昏昬 映暎 昵暱 晓暁 晚晩 晰晢 暖煖 曲麹 曳曵 曾曽
期朞 本夲 札剳 朵朶 杂襍 村邨 杯桮 构搆 果菓 枪鎗 柏栢 柳桞 标摽 样様 桑桒 梅楳 梦夣 梨棃 棂櫺
棋碁 棕椶 棹櫂 楂樝 楠枏柟 楫檝 概槩 榜牓 槁槀 槔槹橰 槜檇 模糢 樽罇 橛橜 橹樐艪 檐簷 欢懽讙驩
欻歘 款欵 歌謌 步歩 每毎 毗毘 毡氊 氛雰 污汚 泛汎 泪涙 浙淛 浚濬 浣澣 浸寖 涧磵 涩澁濇 淫婬滛
清淸 渴渇 游逰 溉漑 溜霤 滟灎灔 滨濵 漱潄 潜濳 濑瀬 炫衒 炮砲 炯冏烱 炼錬 烧焼 焰燄 照炤 煮煑
熏薫 熙煕熈 燕鷰 燮爕 牺犠 犁犂 狭陜 狷獧 猬蝟 猿猨 獐麞 玩翫 玳瑇 珍珎 球毬 琅瑯 琉瑠 琴琹 琼璚
瑙碯 瑰瓌 璃瓈 瓮罋 瓶缾 瓷甆 留畱 略畧 疏疎踈 疣肬 痱疿 痹痺 瘦痩 皋皐臯 皓晧暠皜 盏琖醆 盐塩
盖葢 盘柈槃 盾楯 眉睂 眷睠 睹覩 睾睪 瞰矙 矿鑛 研硏 砖塼甎 砧碪 硗墝 碇矴 碎砕 碗椀盌 碱鹻 磷燐
祀禩 祛袪 秕粃 秘袐 秸稭 稚穉 稳穏 稻稲 稿稾 穗穂 穰穣 窑窰 窗牎牕窓窻 窥闚 笑咲 第苐 笺牋 筒筩
答荅 签籖 算筭 箬篛 箸筯 篡簒 篪箎 簪簮 粗觕麁麄麤 粳秔稉 粽糭 糠穅 繁緐 纤纎 纵縦 绁絏 绒羢
绛䌸 绣繍 绦縚 绵緜 缘縁 缠纒 缵纉 罂甖 罚罸 置寘 羁羇覊 羌羗 美羙 羹羮 翱翶翺 翳瞖 翻繙飜 耀燿
考攷 耇耈 耕畊 耽躭 聃耼 联聨聮 聪聦 肠膓 肯肎 肷膁 胁脇 胚肧 胭臙 胸胷 脆脃 脏臓 腊臈 腮顋 膘臕
膳饍 舄舃 舆轝 舍舎 舵柂 船舩 艳艶 艺蓺 花蘤 苏甦蘓 苘檾 茕惸 茧蠒 草艸 荔茘 莅涖 莺鴬鶑鸎 莼蒪
菟莵 菱蓤蔆薐 菹葅 萸茰 萼蕚 蒂蔕 蕊橤蕋蘂蘃 藜蔾 藤籐 蘖糵蘗 虚虗 虻蝱 蚁螘 蚊蟁 蛇虵 蛔蚘 蛙鼃
蜂蠭 螂蜋 蟆蟇 蟹蠏 蠹蠧 衄衂 衔啣衘 衽袵 袅嬝褭 袖褎褏 袜韈 裙帬裠 裤袴 裴裵 裸臝躶 裹褁 褒襃
觅覔 视眎眡 览覧 觑覰 解觧 让譲 讹譌 诉愬 误悮 谏諌 谪讁 谷糓 豆荳 貌皃貎 赊賖 赍賷 赖頼 赞賛
趁趂 蹄蹏 软輭 辄輙 辞辤 边邉 远逺 迟遅 迥逈 递逓 遁遯 遍徧 邛卭 邻隣 郁欎欝鬰 酬詶醻 酱醤 酿醸
醉酔 釜釡 钱銭 钻鑚 铁鉄銕鐡 锁鎻鏁 锄耡鉏 锹鍫 闰閠 闸牐 闹閙 阒閴 阔濶 阶堦 陀陁 隐隠 隶隷
雁鴈 雏鶵 雷靁 霓蜺 霸覇 青靑 面靣 鞋鞵 鞍鞌 韭韮 须湏 顾頋 颐頥 颓穨頺 颖颕 颠顚 颦嚬 飘飃 飙飇
餐湌飡 饪餁 饭飰 饼餠 馈餽 驱敺駈 驴馿 验騐 骚騒 骡驘 髓髄 高髙 髡髠 髯髥 鬃騣鬉 鬓髩鬂 鬣鬛
鲠骾 鳌鼇 鳖鼈 鸦鵶 鸱鵄 鸲鸜 鹅鵞 鹤鸖 麟麐 麻蔴 黑黒 默黙 鼓皷 鼗鞉 龀齓 龄齢 龟亀
"""
_STANDARD = {ord(variant): group[0] for group in _VARIANTS.split() for variant in group[1:]}


@functools.cache
def _opencc(configuration: str) -> Any:
    import opencc

    return opencc.OpenCC(configuration)


def to_simplified(text: str) -> str:
    """`text` in Simplified characters, with variants folded.

    Raises:
        PoetgenError: `text` holds half a surrogate pair, which is no character.
    """
    return convert(text, "t2s").translate(_STANDARD)


def to_traditional(text: str) -> str:
    """`text` in Traditional characters; of two that one Simplified stands for, the likelier."""
    return convert(text, "s2t")


def convert(text: str, configuration: str) -> str:
    """`text` through OpenCC alone.

    Args:
        text: What to convert.
        configuration: `"t2s"` or `"s2t"`.
    """
    if not text:
        return text
    try:
        converted: str = _opencc(configuration).convert(text)
    except UnicodeEncodeError as error:
        raise PoetgenError(
            f"U+{ord(text[error.start]):04X} is half a surrogate pair, not a character"
        ) from None
    return converted


# OpenCC turns 乾 into 干, but not in 乾坤. These are the characters whose Simplified form depends
# on their neighbours in any of the 477 phrases of OpenCC 1.4.2 (TSPhrases); others have one form.
_CONTEXTUAL = "沈乾藉覆於鍊昇坏徵鍾逕瞭蒐脩祕麼氾鉅釐剋吒衹甦哩畫薹么谿噁扞陞袷濛俱彷劄麽計"


def simplified(code_points: np.ndarray, is_end: np.ndarray) -> np.ndarray:
    """`to_simplified` for a great deal of text.

    OpenCC itself sees only the 2 % of lines that hold a character whose form depends on its
    neighbours; for the rest a table of single characters says the same, in a tenth of the time.

    Args:
        code_points: (L,) uint32.
        is_end: (L,) bool, where a line ends. The last place must be one.

    Returns:
        (L,) uint32.
    """
    single, contextual, standard = _tables()
    converted = single[code_points]
    ends = np.flatnonzero(is_end)
    lines = np.unique(np.searchsorted(ends, np.flatnonzero(contextual[code_points])))
    if len(lines):
        starts = np.where(lines > 0, ends[lines - 1] + 1, 0)
        lengths = ends[lines] + 1 - starts
        offsets = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)
        text = code_points[places].astype("<u4").tobytes().decode("utf-32-le")
        # Every phrase of t2s is as long as what it stands for.
        converted[places] = np.frombuffer(convert(text, "t2s").encode("utf-32-le"), "<u4")
    folded: np.ndarray = standard[converted]
    return folded


def is_traditional_only(code_points: np.ndarray) -> np.ndarray:
    """(L,) bool: the characters that Simplified text never has."""
    changes: np.ndarray = _tables()[0][code_points] != code_points
    return changes


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By code point: its Simplified form alone, whether that depends on others, its standard."""
    single = np.arange(CODE_POINTS, dtype=np.uint32)
    for block in (range(0x3400, 0xA000), range(0xF900, 0xFB00), range(0x20000, 0x33480)):
        text = convert("\n".join(map(chr, block)), "t2s")
        single[block.start : block.stop] = [ord(character) for character in text.split("\n")]
    contextual = np.zeros(CODE_POINTS, dtype=bool)
    contextual[[ord(character) for character in _CONTEXTUAL]] = True
    standard = np.arange(CODE_POINTS, dtype=np.uint32)
    standard[list(_STANDARD)] = [ord(character) for character in _STANDARD.values()]
    return single, contextual, standard
