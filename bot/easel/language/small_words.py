"""The small words of replies, in the languages that Easel follows. Each is part of a regular expression.

To teach Easel another language, give each of them a row.
"""


def _any(**words: str) -> str:
    return "|".join(words.values())


# Before a thing, also whose it is.
ARTICLE = _any(
    en="the|an?|any|some|his|her|its|their|my|your|our",
    de="der|die|das|de[nmrs]|eine?[nmrs]?|ih[nm]|seine?[nmrs]?|ihre?[nmrs]?|meine?[nmrs]?",
    fr="les?|la|une?|des|du|sa|son|ses|mon|ma|mes",
    es="el|l[oa]s?|una?s?|unos|sus?|mi",
    it="il|gli|i|uno",
    pt="os?|as?|uma?|seu|sua",
    nl="de|het|een|zijn|haar|mijn",
)
COLOUR = _any(
    en="black and white|red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|gr[ae]y|gold(?:en)?|silver"
    "|turquoise|teal",
    de="(?:rot|gelb|grün|blau|lila|violett|rosa|braun|schwarz|weiß|grau)(?:e[nmrs]?)?",
    fr="(?:rouge|jaune|verte?|bleue?|noire?|blanc(?:he)?)s?",
    es="(?:roj[oa]|amarill[oa]|verde|negr[oa]|blanc[oa])s?|azul(?:es)?",
    it="ross[oaie]|giall[oaie]|ner[oaie]|bianc(?:o|a|hi|he)|verdi|blu",
    pt="(?:vermelh[oa]|amarel[oa]|pret[oa]|branc[oa])s?|azuis",
    nl="rood|rode|blauwe?|groene?|gele?|zwarte?|witte?|grij[sz]e?",
)
# A thing has one quality of each kind: a new one replaces the old.
QUALITIES = (
    COLOUR,
    "(?:big|small|large|huge|giant)(?:g?er)?|tiny|little|groß|größer|klein(?:er)?",
    "(?:dark|bright|light|dim)(?:er)?|pale",
    "(?:old|young|new)(?:er)?|ancient",
    "(?:long|short|tall)(?:er)?",
    "(?:fat|thin|slim)(?:t?er)?",
    "(?:soft|hard|harsh)(?:er)?",
)
NUMBER = _any(
    any=r"\d+",
    en="two|three|four|five|six|seven|eight|nine|ten|many|several",
    de="zwei|drei|vier|fünf|viele",
    fr="deux|trois|quatre|cinq",
    es="dos|tres|cuatro|cinco",
    it="due|tre|quattro",
    nl="twee|drie|vier",
)
# Before "of" and what is to be seen.
PICTURE = "portrait|photo|photograph|picture|painting|drawing|image|close-?up|sketch|illustration|style"
# Before "of" and what there is so much of.
AMOUNT = "bunch|pair|group|lots?|couple|stack|pile|slice|cup|glass|bowl|bottle"
# Between two things. Black and white is one.
AND = _any(
    en="(?:(?<!black )and|and(?! white))|plus|&",
    de="und",
    fr="et",
    es="y",
    it="e",
    nl="en(?= (?:een|het|de) )",
    ru="и",
)
# Between a thing and what it is of.
OF = "of|de|du|des|di|del|della|van|von|z"
# What follows a thing and its own words, and says more of it.
RELATIVE = "who|which|that|che|qui|que"
# A verb, and no noun that ends like one.
VERB = r"(?!(?:wedding|king|ring|string|thing|evening|morning|building|ceiling|painting|spring|wing)\b)\w{2,}ing"
# Between a thing and what it is with or where it is: "an otter *with* a hat *on* a rock".
JOINT = _any(
    others=AND,
    en="with|wearing|holding|carrying|riding|in|on|at|as|under|by|near|behind|beside|next to|in front of|over|above"
    "|inside|through|against|from",
    de="mit|im|ins|auf|am|unter|neben|bei|hinter|vor|über|als",
    fr="avec|dans|sur|sous|portant|devant|derrière|près de|aux?",
    es="con|en|sobre|bajo",
    it="sul|sulla|nel|nella|sotto|al|alla",
    pt="com|em|sob|num|numa",
    nl="met|op|onder|naast|aan",
    pl="ze?|we?|na|nad|pod",
    ru="со?|в|на|под|над|у",
)
# Before what is not to be there: words that mean nothing else in English. The first also inside of a term.
FOREIGN_WITHOUT = _any(de="ohne", it="senza", nl="zonder", pl="bez", ru="без")
FOREIGN_NO = _any(others=FOREIGN_WITHOUT, de="keine?n?", fr="sans(?! serif)|pas de(?! deux)", nl="geen")
NO = _any(en="no(?: more)?|without(?: any)?|w/o", pt="sem", others=FOREIGN_NO)
NOT_TOO = _any(
    en="not (?:so|too|as|that)",
    de="nicht (?:so|zu)",
    fr="pas (?:si|trop|aussi)",
    es="no tan",
    it="non (?:così|troppo)",
    pt="não tão",
    nl="niet (?:zo|te)",
)
INSTEAD_OF = _any(
    en="(?:instead|in place) of",
    de="(?:an)?statt",
    fr="(?:au lieu|à la place) d[eu]",
    es="en (?:vez|lugar) del?",
    it="(?:invece|al posto) d(?:i|el|ella)",
    pt="no lugar de",
    nl="in plaats van",
    pl="zamiast",
    ru="вместо",
)
MORE = _any(en="more", de="mehr", fr="plus de", es="más", it="più", pt="mais", nl="meer", pl="więcej", ru="больше")
LESS = _any(en="less|fewer", de="weniger", fr="moins de", es="menos", it="meno", nl="minder", pl="mniej", ru="меньше")
MAKE = _any(
    en="mak(?:e|ing)", de="mach", fr="rends|fais", es="haz", it="rendi|fai", pt="deixa|faz", nl="maak", ru="сделай"
)
# Before what is to be there as well.
ADD = _any(
    en="add(?:ing)?|plus(?= (?:an?|some|the) )|put on|give (?:it|him|her|them)|(?:change|turn) (?:it|this) (?:to|into)"
    "|i(?:[’']d| would) like(?: to (?:see|have|add))?"
    "|(?:can|could) (?:i|we|it|he|she|they) (?:please |perhaps )?(?:have|get|see|wear)",
    de="mit|füge|(?:gib|zieh|setz) (?:ihm|ihr)",
    fr="avec|ajoute[rz]?|mets(?:[ -]lui)?|mettez(?:[ -]lui)?",
    es="con|añade|agrega|pon(?:le)?",
    it="aggiungi|metti(?:gli|le)?",
    pt="com|adicion[ae]|coloca|coloque",
    nl="met|voeg|geef (?:hem|haar)",
    pl="dodaj",
    ru="добавь(?:те)?",
)
# Before what is to go.
REMOVE = _any(
    en="remov(?:e|ing)|delet(?:e|ing)|minus|tak(?:e|ing) (?:off|away|out)|get(?:ting)? rid of|leave out|avoid",
    de="entferne?|lösche?",
    fr="enlève[rz]?|enlever|retire[rz]?|supprime[rz]?",
    es="quita(?:le)?|quítale|elimina",
    it="togli|rimuovi",
    pt="tira|remov[ae]",
    nl="verwijder",
    pl="usuń|zdejmij",
    ru="убери(?:те)?|удали(?:те)?",
)
# Where something is.
WHERE = _any(
    en="in|on|at|under|near|behind|inside|next to|in front of",
    de="im|in der|in einer?|auf|am|unter",
    fr="dans|sur|sous|au bord de",
    es="en|sobre|bajo",
    it="sul|sulla|nel|nella|sotto|in",
    pt="em|num|numa",
    nl="op|onder",
    ru="на|в|под",
)
# Around what is to go: "*take* the hat *off*".
TAKE = _any(en="take(?! me)|leave(?! me)", de="nimm|lass", nl="haal|laat")
AWAY = _any(en="off|away|out", de="weg|ab|raus|aus")
# Around what takes another's place: "*replace* the otter *with* an owl".
REPLACE = _any(
    en="replac(?:e|ing)|swap|chang(?:e|ing)|turn",
    de="ersetze?|tausche?|ändere?|verwandle",
    fr="remplace[rz]?|change[rz]?",
    es="cambia|reemplaza|sustituye",
    it="sostituisci",
    pt="troca|muda|substitui",
    nl="vervang|verander",
    pl="zamień|zmień",
    ru="замени(?:те)?",
)
INTO = _any(
    en="with|by|for|to|into",
    de="durch|gegen|zu|in",
    fr="par|en",
    es="por|a",
    it="con",
    pt="para",
    nl="door",
    pl="na",
    ru="на",
)
# Before what it is to look like.
AS = _any(en="as", de="als", fr="comme|plutôt (?:en|comme)", es="como", pl="jako", ru="как")
AGAIN = _any(
    de="noch ?(?:ein)?mal",
    fr="encore(?: une fois)?",
    es="otra vez|de nuevo",
    it="ancora una volta|di nuovo",
    pt="de novo|outra vez",
    nl="nog (?:een|één) ?keer|opnieuw",
    pl="jeszcze raz",
    ru="ещ[её] раз",
    zh="再来一[张次]",
)
# What says that the rest stays.
SAME = _any(
    en="(?:the )?same(?: (?:seed|prompt|picture|one|thing))?|(?:try |do it )?again|more like (?:this|that|it)"
    "|(?:i )?(?:keep|love|like) (?:everything|all|the rest|it)(?: else| all| as it is)?",
    de="das gleiche|dasselbe",
    fr="la même chose|le même",
    es="lo mismo|igual",
    it="lo stesso",
    pt="o mesmo",
    nl="hetzelfde",
    pl="to samo",
    ru="то же самое",
)
# "But a scarf" is a wish of its own.
BUT = _any(
    en=r"but(?= (?:an?|other|new|different|\d+(?:[x:×]\d+)?|in|on|at|as|no|with(?:out)?|add|remove|make|take)\b)",
    de="aber",
    fr="mais",
    es="pero",
    it="ma",
    pt="mas",
    nl="maar",
    pl="ale",
    ru="но",
)
NOW = _any(
    en="now|and|so|then",
    de="jetzt|nun|und",
    fr="maintenant|et",
    es="ahora|y|que sea",
    it="adesso|ora",
    pt="agora",
    nl="nu",
    pl="teraz",
    ru="теперь",
)
PLEASE = _any(
    en="please|pls|plz",
    de="bitte",
    fr="s['’]il (?:te|vous) pla[iî]t|stp|svp",
    es="por favor",
    it="per favore",
    nl="alsjeblieft|alstublieft|graag",
    pl="proszę",
    ru="пожалуйста",
)
THANKS = _any(
    en="thank(?:s| you)(?: so much)?|thx",
    de="danke(?: schön)?",
    fr="merci(?: beaucoup)?",
    es="(?:muchas )?gracias",
    it="grazie(?: mille)?",
    pt="obrigad[oa]",
    nl="bedankt",
    pl="dzięki|dziękuję",
    ru="спасибо",
)
# What people say of a picture before they ask for a change.
PRAISE = _any(
    en="(?:(?:it|that)(?:[’']s| is) |i )?(?:so |very |really )?(?:nice|great|cool|perfect|lovely|good|wow"
    "|love (?:it|this|that))",
    thanks=THANKS,
    de="(?:sehr )?(?:schön|gut|toll|super)",
    fr="(?:très )?(?:joli|beau|bien)",
    es="(?:muy )?(?:bien|bonito)|genial",
    it="(?:molto )?bello",
    nl="(?:heel )?mooi",
)
# What means nothing before a wish.
INTERJECTION = _any(
    en="h+m+|um+|oh|oops|omg|lol|haha|nah|(?:no,? )?wait|actually|sorry|hey|hi|well(?=,)"
    "|(?:but )?like(?= (?:at|in|on|with) )",
    de="ach",
    fr="bon",
    es="bueno",
)
AT_NIGHT = _any(
    de="bei nacht|nachts",
    fr="de nuit|la nuit",
    es="de noche",
    it="di notte",
    pt="à noite",
    nl="bij nacht|['’]s nachts",
    pl="w nocy|nocą",
    ru="ночью",
)
# Comparatives by name, since an otter ends like them.
COMPARATIVE = (
    "(?:dark|bright|light|warm|cool|cold|soft|sharp|happi|sad|cut|scari|funni|moodi|fluffi|crazi|simpl|spooki|old|young|fat"
    "|strong|angri|prett?i|ugli|clean|dirti|wild|calm|hard|clear|nic|cozi)[dt]?er"
)
COMPARATIVE_SIZE = "(?:bigg|larg|small|tall|long|short|wid|thick|thinn|round)er"
# What somebody in a picture does.
DOING = (
    "smiling|laughing|crying|sleeping|running|jumping|dancing|flying|sitting|standing|looking|facing|holding|eating"
    "|drinking|reading|playing|swimming|walking|waving|winking|singing"
)
# What they, or the weather, are like.
STATE = "happy|sad|angry|scared|surprised|sleepy|excited|grumpy|cute|funny|sunny|rainy|foggy|snowy|cloudy|colou?rful"
# How a picture is made, behind "in" or "as".
MEDIA = (
    "black and white|b&w|colou?r|oils?|(?:oil|acrylic) paint|acrylics?|watercolou?rs?|ink|pencil|crayon|charcoal"
    "|pastels?|pixel art|sepia|3d"
)
ART = "painting|drawing|photo(?:graph)?|sketch|cartoon|comic|poster|render|illustration|etching|woodcut|mosaic|statue"
# How a picture is made, said by itself.
MEDIUM = "watercolou?rs?|aquarelle?|acuarela|acquerello|oil painting|black and white|pixel art|pop art|sepia|line art"
