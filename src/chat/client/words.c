/* SPDX-License-Identifier: MIT */
/* The user's languages: see words.h. */
#include "chat/client/words.h"

#include <assert.h>
#include <string.h>

#include "base/macro.h"

/* clang-format off */
static const char *const table[][2] = {
	/* Those of prompts, of coming and of going are the course's. */
	[WORD_ASK_PASSWORD]     = { "password: ", "请输入密码:" },
	[WORD_ASK_NAME]         = { "name: ", "请输入姓名:" },
	[WORD_SAY]              = { "say: ", "发言:" },
	[WORD_BAD_NAME]         = { "a name is one word", "姓名不能有空格" },
	[WORD_ENTERED]          = { "you are in the room at %s; \"quit\" leaves it", "您已进入聊天室 %s, 输入 quit 退出" },
	[WORD_LEFT]             = { "you have left the room", "退出聊天室" },
	[WORD_NO_ANSWER_YET]    = { "%s does not answer; asking again", "%s 没有回答, 正在重试" },
	[WORD_NO_ANSWER]        = { "%s does not answer: is the room running, is that its port, and may its packets pass?", "%s 没有回答: 请检查聊天室是否在运行, 端口是否正确, 防火墙是否放行" },
	[WORD_NOBODY_THERE]     = { "nobody listens at %s: is the room running, and is that its port?", "%s 没有聊天室: 请检查聊天室是否在运行, 端口是否正确" },
	[WORD_LOST]             = { "%s: the connection has ended: %s", "%s: 连接已断开: %s" },
	[WORD_PUT_OUT]          = { "the room has put you out", "您已被移出聊天室" },
	[WORD_AGAIN]            = { "the room had forgotten you and is asked again; please repeat what you said", "聊天室忘记了您, 正在重新进入; 请再说一次" },
	[WORD_JOINED]           = { "%s has come in", "欢迎 '%s' 进入聊天室" },
	[WORD_JOINED_OTHER]     = { "%s has come into %s", "欢迎 '%s' 进入 %s" },
	[WORD_PARTED]           = { "%s has left", "%s 退出聊天室" },
	[WORD_PARTED_OTHER]     = { "%s has left %s", "%s 退出 %s" },
	[WORD_PARTED_WHY]       = { "%s has left: %s", "%s 退出聊天室: %s" },
	[WORD_YOU_JOINED]       = { "you are in %s", "您已进入 %s" },
	[WORD_YOU_PARTED]       = { "you have left %s", "您已退出 %s" },
	[WORD_RENAMED]          = { "%s is now called %s", "%s 改名为 %s" },
	[WORD_YOU_RENAMED]      = { "you are now called %s", "您已改名为 %s" },
	[WORD_TOPIC]            = { "the topic of %s: %s", "%s 的话题: %s" },
	[WORD_TOPIC_CHANGED]    = { "%s has changed the topic of %s: %s", "%s 修改了 %s 的话题: %s" },
	[WORD_NAMES]            = { "in %s: %s", "%s 里有: %s" },
	[WORD_KICKED]           = { "%s was put out of %s by %s: %s", "%s 被移出 %s (%s): %s" },
	[WORD_INVITED]          = { "%s invites you to %s; /join goes there", "%s 邀请您进入 %s (/join)" },
	[WORD_NO_CHANNEL]       = { "you are in no channel; /join #NAME goes into one", "您不在任何频道; 请用 /join #名称" },
	[WORD_NO_COMMAND]       = { "there is no command %s; /help tells which there are, and //text says /text", "没有命令 %s; /help 列出所有命令" },
	[WORD_USAGE]            = { "usage: %s", "用法: %s" },
	[WORD_LOGIN_IMPOSSIBLE] = { "the server takes no such login (SASL)", "服务器不支持这种登录 (SASL)" },
};
/* clang-format on */
_Static_assert(ELEMENTSOF(table) == WORDS, "each word has its row");

const char *words(enum language language, enum word word)
{
	assert(word < WORDS);
	return table[word][language];
}

enum language language_of(const char *name)
{
	return name && strncmp(name, "zh", 2) == 0 ? LANGUAGE_CHINESE : LANGUAGE_ENGLISH;
}
