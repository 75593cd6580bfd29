"""Words that say whether the full stop behind them, or before them, ends a sentence: tables for `nmt.data.sentences`.

The tables of all languages are one: a line rarely says which language it is of, and a sentence that is not cut costs
less than one that is. They hold what text is full of; what they lack is decided by the rules.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BEFORE_MORE: Final = _words(
    # titles and forms of address
    """Mr Mrs Ms Mx Dr Drs Prof St Ste Messrs Rev Hon Gen Col Maj Capt Cpt Cmdr Lt Sgt Cpl Adm Gov Sen Rep Pres Mt Ft Hr
    Hrn Fr Frl Dipl Ing Mag Bgm Hl Mme Mmes Mlle Mlles MM Mgr Sr Sra Srta Sres Sras Dra Ud Uds Vd Vds Exc Sig Sigg
    Dott Avv Geom Egr Gent dhr mevr mw drs mr Bc Mgr JUDr MUDr PhDr RNDr ThDr MVDr PaedDr gen kpt npor św ks inż mgr
    hab płk проф акад доц им гр тов dr. med phil jur sv GS PGS TS ThS BS TP डॉ श्री श्रीमती प्रो पं कु डा """
    # what leads to something: for example, that is, compare, see, page, number, article, about, between, or
    """vs cf eg ie viz approx ca cca Fig Figs Eq Eqs eq Sec Sect Ch Chap chap pp Vol Vols Nos Nr Nrn nr Art Abs Abb
    Abschn Anl Anm Aufl Bd Bde Bem Bl bzw bspw beisp evtl ggf ggfs gem geb gest gez gg inkl exkl insb insbes Jh Kap
    lfd Mio Mrd Rdnr Rn sog Std Stk Str Tab Tel tel Tsd tgl Urt usf vgl Vgl Ziff ziff zzgl zw zus einschl Fa Fam EE
    entspr ehem dgl Bsp Abt Hbf Ffm p pp pag pág págs núm núms éd chap boul tél fém masc réf resp tzv tj např příp
    popř resp č čís str odst písm mld hod ul nám stol př obr viz zn np tzn tzw ul godz tys mln mld wg zob nt г гг ул
    стр рис табл тыс млн млрд руб коп см напр др пр пл просп обл обр ред изд вв bijv blz nl zgn resp incl excl ong bl
    d.w.z o.a m.n t.a.v i.p.v z.g f.eks bl.a t.ex m.fl d.v.s t.o.m fr.o.m ca nr pga jf jfr ör örn bkz vb yy eds ibid
    ff"""
)
"""Abbreviations that something always follows. Those of several parts (`z. B.`, `e.g.`, `p. ex.`) end in one letter,
about which there is a rule."""

BEFORE_STARTERS_ONLY: Final = _words(
    """etc usw Jr Sr Co Corp Inc Ltd Bros LLC Ltda GmbH Ges No no Nos Ave Blvd Rd Sq Jan Feb Mar Apr Jun Jul Aug Sep
    Sept Oct Okt Nov Dec Dez Mon Tue Wed Thu Fri Sat Sun Mo Di Mi Do Fr Sa So am pm AM PM ecc atd apod ap itd itp enz
    dll dst janv févr avr juil déc ene abr ago dic gen feb mag giu lug ott пр др vd ud oz lb lbs ft sec min kg km cm
    mm Kl Nachm Vorm Tl EL TL gr Gr Mt Ph Phil Cal Calif Mass Conn Wash Penn Va Pa Fla Ga Ill Ind Mich Minn Tex ed al
    Dep Dept Univ Bldg Est St Nordrh Westf Österr schweiz dt engl frz lat griech ok ir sek cap caps ex art arts fig
    figs av env num vol max Min Me Da evt im por par bd op loc kap sf trans mil lit Lit ur ust tis pr Best best mind
    rd den tab don ing cit plk"""
)
"""Abbreviations that may also end a sentence: it ends where a word of `STARTERS` follows."""

STARTERS: Final = _words(
    """The This That These Those There Then They He She It We You I My His Her Our Their Its And But Or So If When While
    What Where Who Why How In On At As After Before For From With Not No Yes Now Here One Some Many Most All Every
    Since However Although Because Please Let Do Did Does Is Are Was Were Can Could Will Would Have Has Had To By Der
    Die Das Dies Diese Dieser Dieses Ein Eine Einen Einem Er Sie Es Wir Ihr Ich Du Man Mein Meine Sein Seine Ihre
    Unser Unsere Und Aber Oder Denn Doch Wenn Als Weil Dass Ob Nach Vor Bei Mit Von Aus Auf In Im Am An Zu Zum Zur
    Für Durch Dann Da Dort Hier Jetzt Nun Heute Gestern Morgen Auch Nur Nicht Kein Keine Alle Wer Was Wo Wie Warum
    Wann Seit Bis Jeder Jede Viele Einige Dabei Damit Danach Dazu Deshalb So Ja Nein Bitte Le La Les L Un Une Des Ce
    Cet Cette Ces Il Elle Ils Elles On Nous Vous Je J Tu Et Mais Ou Donc Si Quand Comme Dans Sur Avec Pour Par En À
    Au Aux Son Sa Ses Mon Ma Mes C Est Que Qui Où Pourquoi Comment Puis Alors Ici Pas Tout Tous El Los Las Una Este
    Esta Estos Estas Ese Esa Ella Ellos Ellas Nosotros Yo Y Pero O Cuando Como Para Con Su Sus No Sí Si Hay Ahora
    También Entonces Después Qué Quién Dónde O A Os As Um Uma Ele Ela Eles Elas Nós Eu E Mas Quando Não Sim Isso Isto
    Este Lo Gli Uno Lui Lei Noi Io Ma Non Questo Questa Che Chi Dove De Het Een Hij Zij Ze Wij We Ik Dit Dat Deze Die
    Maar Als Toen Niet Er Ook Nu Ten Ta To Ti Ty Byl Byla Bylo Je Jsem Jsou A Ale Když Kde Kdo Co Jak Proč Tak Pak
    Tento Tato On Ona Ono Oni My Já Na V Ve S Z Ze Do Po Pro Od Při Nie Jest Są Był Była Było I Gdy Gdzie Kto Jak
    Dlaczego Ja Wy W We Po Dla Czy Он Она Оно Они Мы Вы Я Ты Это Этот Эта Эти И Но А Или Если Когда Где Кто Что Как
    Почему В Во На С Со К По Для Не Да Нет Там Тут Потом Тогда Его Её Их Han Hun Hon Den Det De Vi Jag Jeg Du En Ett
    Et Og Och Men Når När Hvor Var Bu Şu O Biz Ben Sen Onlar Bir Ve Ama"""
)
"""Small words that have a capital letter only where a sentence begins, as far as text without titles goes."""
